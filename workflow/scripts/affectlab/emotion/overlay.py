"""A configuration for a user's own texts, guessed from a look at their table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affectlab.datasets.label_sets import LABEL_SETS
from affectlab.datasets.look import IDS, LABELS, Look, look_at
from affectlab.datasets.overlay import FOLDS, Overlay, ProposedRun, counted, has_gpu, run_notes
from affectlab.datasets.table_proposal import TableProposal, small_group_notes
from affectlab.emotion.own import own_texts
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
    group, split, name = look.group(FOLDS), look.split(), look.named(IDS)
    proposal = TableProposal(look, "table")
    columns = proposal.entry["columns"] = {"text": text}
    taken = [column for column in (text, group, split, name) if column]
    label = _add_target(look, path, taken, proposal)
    if group is not None:
        columns["group"] = group
    if name is not None and look.columns[name].filled == look.rows:
        columns["id"] = name
    proposal.note_rows("columns", [*taken, *([label] if isinstance(label, str) else label)])
    language = proposal.add_language(text)
    proposal.add_split(group)
    entry = proposal.ordered()
    notes = [*small_group_notes(look, group), *run_notes(lambda: own_texts(path, entry, "skip"))]
    return Overlay("emotion", entry, _runs(language), proposal.comments(), notes=notes)


def _add_target(
    look: Look, path: Path, taken: list[str], proposal: TableProposal
) -> str | list[str]:
    """Write down what is to be predicted; the column or columns of it."""
    columns = proposal.entry["columns"]
    numbers = [name for name in look.numbers() if name not in taken]
    annotators = look.annotators(taken)
    label = look.label([*taken, *numbers])
    if several := _label_sets(look, taken, label, proposal):
        return several
    if annotators and (label is None or (label in annotators and look.named(LABELS) is None)):
        columns["label"] = annotators
        proposal.note("columns", f"{len(annotators)} annotators")
        return annotators
    if label is None and numbers:
        columns["label"] = numbers
        proposal.entry["target"] = "numbers"
        return numbers
    if label is None:
        look.check_decimal_commas(path)
        raise UserError(f"{path}: {look.no_classes(taken)}")
    columns["label"] = label
    counts = look.columns[label].counts or {}
    proposal.entry["classes"] = list(counts)
    proposal.note("classes", counted(counts))
    return label


def _label_sets(
    look: Look, taken: list[str], label: str | None, proposal: TableProposal
) -> str | list[str] | None:
    """Write down the column or columns of label sets; None where the table has none.

    See `Look.several_classes`.
    """
    found = look.several_classes(taken, label)
    if found is None:
        return None
    proposal.entry["columns"]["label"] = found
    proposal.entry["target"] = LABEL_SETS
    if isinstance(found, list):
        proposal.note("target", "columns of 0 and 1, one for each class")
        return found
    parts = look.columns[found].parts or {}
    proposal.entry["classes"] = list(parts)
    proposal.note("target", "a cell lists several classes")
    proposal.note("classes", counted(parts))
    return found


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
