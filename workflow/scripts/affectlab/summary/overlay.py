"""A configuration for a user's own texts and summaries, guessed from a look at their table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affectlab.datasets.languages import recognised_language
from affectlab.datasets.look import GROUPS, IDS, Look, look_at
from affectlab.datasets.overlay import Overlay, ProposedRun, has_gpu, proposed_split
from affectlab.errors import UserError

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
    group, split, name = look.named(GROUPS), look.split(), look.named(IDS)
    columns = {"text": text} if text != "text" else {}
    if group is not None and group not in (text, *fields):
        columns["group"] = group
    if name is not None and name != "id" and look.columns[name].filled == look.rows:
        columns["id"] = name
    unused = [one for one in look.columns if one not in (text, group, split, name, *fields)]
    seen = f"; also seen: {', '.join(unused)}" if unused else ""
    entry: dict[str, Any] = {"layout": "cases"}
    comments = {"layout": f"{look.rows} rows{seen}"}
    if columns:
        entry["columns"] = columns
    entry["fields"] = fields
    comments["fields"] = "what is to be written of each text"
    language = recognised_language(look.texts[text])
    if language is not None:
        entry["language"] = language
        comments["language"] = f"recognised in {len(look.texts[text])} rows"
    _add_split(look, split, entry, comments, columns.get("group"))
    notes = []
    if language not in (None, "en"):
        notes.append("SmolLM2 knows English only. Take a model that knows the language of the data")
    return Overlay("summary", entry, _runs(), comments, notes=notes)


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
        comments["layout"] += f"; files of the splits {', '.join(look.splits)}"
    else:
        entry["split"] = proposed_split(look.rows)
        together = f"the texts of one {group}" if group else "texts that read alike"
        comments["split"] = f"{together} stay together"


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
