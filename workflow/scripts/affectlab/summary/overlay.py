"""A configuration for a user's own texts and summaries, guessed from a look at their table."""

from __future__ import annotations

from pathlib import Path

from affectlab.datasets.look import IDS, Look, look_at
from affectlab.datasets.overlay import FOLDS, Overlay, ProposedRun, has_gpu, run_notes
from affectlab.datasets.table_proposal import TableProposal, small_group_notes
from affectlab.errors import UserError
from affectlab.summary.methods import OWN_LAYOUT
from affectlab.summary.own import own_cases

SUMMARIES = ("summary", "abstract", "highlights", "reference", "tldr", "headline", "title")
"""Names of columns that hold what is to be written; the first one found is proposed."""


def overlay(path: Path) -> Overlay:
    """Propose a configuration for the table at *path*.

    Raises:
        UserError: it has no texts, or nothing that is to be written about them.
    """
    look = look_at(path)
    text, written = _text_and_field(look, path)
    fields = [written]
    group, split, name = look.group(FOLDS), look.split(), look.named(IDS)
    columns = {"text": text} if text != "text" else {}
    if group is not None and group not in (text, *fields):
        columns["group"] = group
    if name is not None and name != "id" and look.columns[name].filled == look.rows:
        columns["id"] = name
    proposal = TableProposal(look, OWN_LAYOUT)
    proposal.note_rows("layout", [text, group, split, name, *fields])
    if columns:
        proposal.entry["columns"] = columns
    proposal.entry["fields"] = fields
    proposal.note("fields", "what is to be written of each text")
    language = proposal.add_language(text)
    proposal.add_split(columns.get("group"))
    entry = proposal.ordered()
    notes = small_group_notes(look, columns.get("group"))
    notes += run_notes(lambda: own_cases(path, entry, "skip"))
    if language not in (None, "en"):
        notes.append("SmolLM2 knows English only. Take a model that knows the language of the data")
    return Overlay("summary", entry, _runs(), proposal.comments(), notes=notes)


def _text_and_field(look: Look, path: Path) -> tuple[str, str]:
    """The column of the texts, and the one that is to be written: by its name, or the next longest.

    Raises:
        UserError: a column is missing.
    """
    named = look.named(SUMMARIES)
    text = look.text_column([] if named is None else [named])
    if text is None:
        raise UserError(f"{path}: no column holds texts of several words")
    field = look.text_column([text]) if named is None else named
    if field is None:
        known = ", ".join(look.columns)
        raise UserError(f"{path}: expected a column of texts and one of summaries; it has {known}")
    return text, field


def _runs() -> list[ProposedRun]:
    return [
        ProposedRun("lead", {"like": "lead"}, "the beginning of each text; seconds"),
        ProposedRun(
            "smollm2",
            {"like": "smollm2_fields"},
            "a small language model with adapters; a GPU helps",
        ),
        ProposedRun(
            "qwen2",
            {"like": "qwen2_fields", "seeds": [42]},
            "a large one of 15 GB in 4 bits; select it where there is a GPU",
            selected=has_gpu(),
        ),
    ]
