"""A configuration for a user's own texts and summaries, guessed from a look at their table."""

from __future__ import annotations

from pathlib import Path

from affectlab.datasets.look import IDS, Look, look_at
from affectlab.datasets.overlay import Overlay, ProposedRun, has_gpu
from affectlab.datasets.table_proposal import TableProposal
from affectlab.errors import UserError
from affectlab.summary.methods import OWN_LAYOUT

SUMMARIES = ("summary", "abstract", "highlights", "reference", "tldr", "headline", "title")
"""Names of columns that hold what is to be written; the first one found is proposed."""

LEAST_WORDS = 2
"""A column with fewer words a value, on average, is no text."""


def overlay(path: Path) -> Overlay:
    """Propose a configuration for the table at *path*.

    Raises:
        UserError: it has no texts, or nothing that is to be written about them.
    """
    look = look_at(path)
    fields = _fields(look, path)
    text = _text(look, path, fields)
    group, split, name = look.group(), look.split(), look.named(IDS)
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
    notes = []
    if language not in (None, "en"):
        notes.append("SmolLM2 knows English only. Take a model that knows the language of the data")
    return Overlay("summary", proposal.ordered(), _runs(), proposal.comments(), notes=notes)


def _fields(look: Look, path: Path) -> list[str]:
    """The columns that are to be written: by their name, else the second longest one."""
    found = look.named(SUMMARIES)
    if found is not None:
        return [found]
    longest = sorted(look.columns.values(), key=lambda column: -column.words)[:2]
    texts = [column.name for column in longest if column.words >= LEAST_WORDS]
    if len(texts) < 2:
        known = ", ".join(look.columns)
        raise UserError(f"{path}: expected a column of texts and one of summaries; it has {known}")
    return texts[1:]


def _text(look: Look, path: Path, fields: list[str]) -> str:
    others = [column for column in look.columns.values() if column.name not in fields]
    best = max(others, key=lambda column: column.words, default=None)
    if best is None or best.words < LEAST_WORDS:
        raise UserError(f"{path}: no column holds texts of several words")
    return best.name


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
