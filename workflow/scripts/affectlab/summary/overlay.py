"""A configuration for a user's own texts and summaries, guessed from a look at their table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectlab.datasets.look import IDS, Look, look_at
from affectlab.datasets.overlay import FOLDS, Overlay, ProposedRun, has_gpu, run_notes
from affectlab.datasets.table_proposal import TableProposal, small_group_notes
from affectlab.errors import DataError, UserError
from affectlab.summary.cases import Case
from affectlab.summary.methods import OWN_LAYOUT
from affectlab.summary.own import own_cases

SUMMARIES = ("summary", "abstract", "highlights", "reference", "tldr", "headline", "title")
"""Names of columns that hold what is to be written; the first one found is proposed."""

MODEL_FOLDS = 3
"""A language model is trained for each fold, for minutes."""

BYTES_PER_TOKEN = 2
"""Of a text in any language, at least."""

INSTRUCTION_TOKENS = 256
"""Around a case, at most."""

ROWS, ANSWERS = (1024, 8192), (128, 512)
"""The smallest and the largest limit of tokens that is proposed."""


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
    if "folds" in proposal.entry.get("split", {}):
        proposal.entry["split"] = {"folds": MODEL_FOLDS}
    entry = proposal.ordered()
    notes = small_group_notes(look, columns.get("group"))
    notes += run_notes(lambda: own_cases(path, entry, "skip"))
    if language not in (None, "en"):
        notes.append("SmolLM2 knows English only. Take a model that knows the language of the data")
    return Overlay("summary", entry, _runs(_room(path, entry)), proposal.comments(), notes=notes)


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


def _room(path: Path, entry: Mapping[str, Any]) -> dict[str, int]:
    """Limits of tokens that leave room for the longest case; short ones train and answer faster.

    Without them, the limits of the run that is like the proposed one hold.
    """
    try:
        found = own_cases(path, entry, "skip").items()
        cases = [case for case in found if isinstance(case, Case)]
    except DataError:
        return {}
    written = max(_tokens("".join(case.references.values())) for case in cases)
    read = max(_tokens(case.text) for case in cases)
    answer = _power_of_two(written, *ANSWERS)
    row = _power_of_two(read + answer + INSTRUCTION_TOKENS, *ROWS)
    return {"max_length": row, "max_answer_tokens": answer} if row < ROWS[1] else {}


def _tokens(text: str) -> int:
    return math.ceil(len(text.encode()) / BYTES_PER_TOKEN)


def _power_of_two(number: int, least: int, most: int) -> int:
    """The next one from *number* on, within limits."""
    return min(max(1 << (number - 1).bit_length(), least), most)


def _runs(room: Mapping[str, int]) -> list[ProposedRun]:
    return [
        ProposedRun("lead", {"like": "lead"}, "the beginning of each text; seconds"),
        ProposedRun(
            "smollm2",
            # Few held-out cases: the loss tells more than the ROUGE of their answers, and sooner.
            {"like": "smollm2_fields", **room, "select_by": "loss"},
            "a small language model with adapters; a GPU helps",
        ),
        ProposedRun(
            "qwen2",
            {"like": "qwen2_fields", "seeds": [42]},
            "a large one of 15 GB in 4 bits; select it where there is a GPU",
            selected=has_gpu(),
        ),
    ]
