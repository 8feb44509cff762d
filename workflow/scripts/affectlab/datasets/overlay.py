"""A configuration for data of one's own, as `affectlab init` prints it.

What it says was guessed from the data; comments tell from what.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectlab.datasets.own_items import OwnItems
from affectlab.errors import DataError
from affectlab.files.quarantine import BadRecord

WIDTH = 100
FEW = 500
"""Items up to which cross-validation is proposed instead of one test split."""

FOLDS = 5


@dataclass(frozen=True, slots=True)
class ProposedRun:
    """A run of the overlay.

    Attributes:
        name: behind the name of the data.
        block: its keys; ``data`` is added.
        comment: what it is, or needs.
        selected: whether it is carried out as the overlay stands.
    """

    name: str
    block: Mapping[str, Any]
    comment: str = ""
    selected: bool = True


@dataclass(slots=True)
class Overlay:
    """What a look at some data suggests.

    Attributes:
        experiment: name of the experiment.
        entry: of the data set, without ``path``.
        runs: of the experiment; the first is the trivial one.
        comments: key of the entry -> what its value was guessed from.
        block: further keys of the experiment's block.
        notes: what cannot be used, or has to be decided by the user.
        items: ids of the items of data that are no table.
    """

    experiment: str
    entry: dict[str, Any]
    runs: list[ProposedRun]
    comments: dict[str, str] = field(default_factory=dict)
    block: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)


def data_name(path: Path) -> str:
    """A name for data, made of that of their file or folder."""
    stem = path.name.partition(".")[0] if path.is_file() else path.name
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")
    return name if name[:1].isalpha() else f"data_{name}".rstrip("_")


def proposed_split(items: int) -> dict[str, Any]:
    """Folds for few items, else a test and a validation split."""
    return {"folds": FOLDS} if items < FEW else {"test": 0.2, "validation": 0.1, "seed": 0}


def has_gpu() -> bool:
    """Whether the machine seems to have a GPU; nothing heavy is loaded to find out."""
    return shutil.which("nvidia-smi") is not None


def counted(counts: Mapping[str, int]) -> str:
    """The counts of classes for a comment, in the order of the classes."""
    return ", ".join(str(number) for number in counts.values())


def bad_rows_notes(bad: Sequence[BadRecord]) -> list[str]:
    """Report the rows that stop a run, if there are any."""
    if not bad:
        return []
    first = bad[0]
    return [
        f"{len(bad)} rows cannot be used; the first: {first.file}, {first.place}: {first.problem}. "
        "Correct them, or add the line on_bad_record: skip"
    ]


def run_notes(read: Callable[[], OwnItems[Any, Any]]) -> list[str]:
    """Report what stops a run with the proposed entry.

    Args:
        read: reads the table as a run does; bad rows are set aside.
    """
    try:
        return bad_rows_notes([one for one in read().items() if isinstance(one, BadRecord)])
    except DataError as error:
        return [f"A run stops with this error: {error}"]


def as_yaml(overlay: Overlay, name: str, path: Path) -> str:
    """The text of the overlay.

    Args:
        overlay: what a look suggested.
        name: of the data set.
        path: of the data, as the user gave it.
    """
    lines = [f"# Notes: {note}" for note in overlay.notes]
    lines += [
        f"experiments: [{overlay.experiment}]",
        "datasets:",
        f"  {name}:",
        f"    path: {_scalar(str(path))}",
    ]
    for key, value in overlay.entry.items():
        lines.append(_commented(f"    {key}: {_flow(value)}", overlay.comments.get(key)))
    runs = {f"{name}_{run.name}": run for run in overlay.runs}
    selected = [own for own, run in runs.items() if run.selected]
    lines += [f"{overlay.experiment}:", f"  selected: [{', '.join(selected)}]"]
    lines += [f"  {key}: {_flow(value)}" for key, value in overlay.block.items()]
    lines.append("  runs:")
    for own, run in runs.items():
        block = {**run.block, "data": name}
        lines.append(_commented(f"    {own}: {_flow(block)}", run.comment))
    return "\n".join(lines) + "\n"


def _commented(line: str, comment: str | None) -> str:
    return f"{line} # {comment}" if comment else line


def _flow(value: Any) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """A scalar that YAML reads as what it is: quoted where it would read something else."""
    import yaml

    if isinstance(value, float):
        # YAML reads 1e-09 as a string, and 1.0e-09 as a number.
        return re.sub(r"^(-?\d+)e", r"\1.0e", json.dumps(value))
    if not isinstance(value, str):
        return json.dumps(value)
    plain = re.fullmatch(r"[\w./@+ -]*\w", value) is not None and not value.startswith(("-", " "))
    return (
        value if plain and yaml.safe_load(value) == value else json.dumps(value, ensure_ascii=False)
    )
