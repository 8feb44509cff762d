"""A configuration for a user's own spans, guessed from a look at their table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from affectlab.datasets.look import IDS, Look, look_at
from affectlab.datasets.overlay import FOLDS, Overlay, ProposedRun, bad_rows_notes, counted, has_gpu
from affectlab.datasets.table_proposal import TableProposal, small_group_notes
from affectlab.entity.data import Record
from affectlab.entity.labels import top_class
from affectlab.entity.layouts import OWN_LAYOUT
from affectlab.entity.own import SPANS, own_spans
from affectlab.errors import UserError
from affectlab.files.quarantine import BadRecord

NAMES_OF_LISTS = ("spans", "entities", "annotations", "targets", "mentions")
NAMES_OF_ROLES = {
    "span": ("span", "span_text", "entity", "mention", "phrase", "words"),
    "start": ("start", "char_start", "begin"),
    "end": ("end", "char_end", "stop"),
}
"""What the columns of single spans may be called."""

LEARNING_RATE = 2e-4
TINY_RATE = 2e-3
"""Of a network that starts from random weights."""


def overlay(path: Path) -> Overlay:
    """Propose a configuration for the table at *path*.

    Raises:
        UserError: it has no texts, no spans or no labels, or cannot be divided.
    """
    look = look_at(path)
    columns = _columns(look, path)
    proposal = TableProposal(look, OWN_LAYOUT)
    proposal.entry["columns"] = columns
    language = proposal.add_language(columns["text"])
    proposal.add_split(columns.get("group"))
    counts, bad = _counts(path, proposal.entry)
    proposal.note_rows("columns", [*columns.values(), look.split()])
    proposal.entry["classes"] = list(counts)
    proposal.note("classes", f"{counted(counts)} spans")
    return Overlay(
        "entity",
        proposal.ordered(),
        _runs(language),
        proposal.comments(),
        notes=[*small_group_notes(look, columns.get("group")), *bad_rows_notes(bad)],
    )


def _columns(look: Look, path: Path) -> dict[str, str]:
    """Role -> column of the table."""
    lists = look.named(NAMES_OF_LISTS)
    if lists is not None and not all(text.startswith("[") for text in look.texts[lists]):
        lists = None
    columns: dict[str, str] = {}
    if lists is not None:
        columns[SPANS] = lists
    else:
        found = {role: look.named(names) for role, names in NAMES_OF_ROLES.items()}
        columns |= {role: name for role, name in found.items() if name is not None}
        if not {"span", "start"} & set(columns):
            known = ", ".join(look.columns)
            raise UserError(f"{path}: no column holds spans or their places; it has {known}")
        label = look.label(columns.values())
        if label is None:
            raise UserError(f"{path}: {look.no_classes(columns.values())}")
        columns["label"] = label
    text = look.text_column(columns.values())
    if text is None:
        raise UserError(f"{path}: no column holds texts of several words")
    columns = {"text": text, **columns}
    if (group := look.group(FOLDS)) is not None and group not in columns.values():
        columns["group"] = group
    name = look.named(IDS)
    # An id that repeats may be that of a text with several rows, or of anything else.
    if name is not None and lists is not None and look.columns[name].filled == look.rows:
        columns["id"] = name
    return columns


def _counts(path: Path, entry: dict[str, Any]) -> tuple[dict[str, int], list[BadRecord]]:
    """Class -> spans of it, in the order of the classes; and the rows that cannot be used."""
    own = own_spans(path, entry, on_bad_record="skip")
    classes = own.description.classes
    found: Counter[str] = Counter()
    bad: list[BadRecord] = []
    for item in own.items():
        if isinstance(item, Record):
            found.update(classes[top_class(target.label)] for target in item.targets)
        else:
            bad.append(item)
    return {name: found[name] for name in classes}, bad


def _runs(language: str | None) -> list[ProposedRun]:
    english = language == "en"
    small, large = ("minilm", "mpnet") if english else ("e5", "xlmr")
    models = {
        "minilm": "minilm-l6",
        "mpnet": "mpnet-base",
        "e5": "multilingual-e5-small",
        "xlmr": "xlm-roberta-base",
    }
    size = "440 MB" if english else "1.1 GB"
    return [
        ProposedRun(
            "tiny",
            _block("roberta-tiny", TINY_RATE),
            "a tiny network with random weights; seconds",
        ),
        ProposedRun(
            small, _block(models[small], LEARNING_RATE), "a small network; minutes on a CPU"
        ),
        ProposedRun(
            large,
            _block(models[large], LEARNING_RATE / 4),
            f"a large network of {size}; select it where there is a GPU",
            selected=has_gpu(),
        ),
    ]


def _block(model: str, learning_rate: float) -> dict[str, Any]:
    training = {"epochs": 8, "batch_size": 16, "learning_rate": learning_rate}
    return {"model": model, "seeds": [42], "stages": [{"training": training}]}
