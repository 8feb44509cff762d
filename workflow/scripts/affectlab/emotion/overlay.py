"""A configuration for a user's own texts, guessed from a look at their table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affectlab.datasets.languages import recognised_language
from affectlab.datasets.look import GROUPS, IDS, Look, look_at
from affectlab.datasets.overlay import (
    Overlay,
    ProposedRun,
    counted,
    has_gpu,
    proposed_split,
)
from affectlab.errors import UserError

LARGE = "xlm-roberta-base"
"""The encoder of many languages that the strong run takes."""


def overlay(path: Path) -> Overlay:
    """Propose a configuration for the table at *path*.

    Raises:
        UserError: it has no texts or no labels.
    """
    look = look_at(path)
    text = look.text
    if text is None:
        raise UserError(f"{path}: no column holds texts of several words")
    group, split, name = look.named(GROUPS), look.split(), look.named(IDS)
    taken = [column for column in (text, group, split, name) if column]
    entry: dict[str, Any] = {"layout": "table"}
    columns: dict[str, Any] = {"text": text}
    comments: dict[str, str] = {}
    label = _target(look, path, taken, columns, entry, comments)
    if group is not None:
        columns["group"] = group
    if name is not None and look.columns[name].filled == look.rows:
        columns["id"] = name
    used = {*taken, *([label] if isinstance(label, str) else label)}
    unused = [column for column in look.columns if column not in used]
    entry["columns"] = columns
    seen = f"; also seen: {', '.join(unused)}" if unused else ""
    kind = f"; {comments['columns']}" if "columns" in comments else ""
    comments["columns"] = f"{look.rows} rows{kind}{seen}"
    language = recognised_language(look.texts[text])
    if language is not None:
        entry["language"] = language
        comments["language"] = f"recognised in {len(look.texts[text])} rows"
    _add_split(look, split, entry, comments, group)
    return Overlay("emotion", _ordered(entry), _runs(language), comments)


def _target(
    look: Look,
    path: Path,
    taken: list[str],
    columns: dict[str, Any],
    entry: dict[str, Any],
    comments: dict[str, str],
) -> str | list[str]:
    """Write down what is to be predicted; the column or columns of it."""
    numbers = [name for name in look.numbers() if name not in taken]
    annotators = look.annotators(taken)
    label = look.label([*taken, *numbers])
    if annotators and (label is None or label in annotators):
        columns["label"] = annotators
        comments["columns"] = f"{len(annotators)} annotators"
        return annotators
    if label is None and numbers:
        columns["label"] = numbers
        entry["target"] = "numbers"
        return numbers
    if label is None:
        known = ", ".join(look.columns)
        raise UserError(f"{path}: no column holds classes (2 to 64 values); it has {known}")
    columns["label"] = label
    counts = look.columns[label].counts or {}
    entry["classes"] = list(counts)
    comments["classes"] = counted(counts)
    return label


def _add_split(
    look: Look,
    column: str | None,
    entry: dict[str, Any],
    comments: dict[str, str],
    group: str | None,
) -> None:
    if column is not None:
        entry["split"] = {"column": column}
        values = look.columns[column].counts or {}
        comments["split"] = ", ".join(f"{value} {count}" for value, count in values.items())
    elif look.splits:
        comments["layout"] = f"files of the splits {', '.join(look.splits)}"
    else:
        entry["split"] = proposed_split(look.rows)
        together = f"the texts of one {group}" if group else "texts that read alike"
        comments["split"] = f"{together} stay together"


def _ordered(entry: dict[str, Any]) -> dict[str, Any]:
    order = ("layout", "columns", "target", "classes", "language", "split")
    return {key: entry[key] for key in order if key in entry}


def _runs(language: str | None) -> list[ProposedRun]:
    english = language == "en"
    large: dict[str, Any] = {"like": "mpnet"} if english else {"like": "e5", "model": LARGE}
    size = "440 MB" if english else "1.1 GB"
    return [
        ProposedRun("tfidf", {"like": "tfidf"}, "word counts; seconds"),
        ProposedRun(
            "minilm" if english else "e5",
            {"like": "minilm" if english else "e5", "seeds": [42]},
            "a small network; minutes on a CPU",
        ),
        ProposedRun(
            "mpnet" if english else "xlmr",
            {**large, "seeds": [42]},
            f"a large network of {size}; select it where there is a GPU",
            selected=has_gpu(),
        ),
    ]
