"""Prompts of a user's own, which runs name as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def template_mistakes(path: str, template: Any) -> Iterator[str]:
    """A file with a prompt that is not there, or has no place for the text."""
    if not isinstance(template, str):
        return
    try:
        text = Path(template).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        yield f"{path}: {template} cannot be read: {error}"
        return
    if "{text}" not in text:
        yield f"{path}: {template} does not hold {{text}}, where the text is put"


def with_templates(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The runs of a valid block, with the text of their prompts instead of the names of files."""
    found = {}
    for name, run in runs.items():
        file = run.get("prompt_template")
        text = {} if file is None else {"prompt_template": Path(file).read_text(encoding="utf-8")}
        found[name] = {**run, **text}
    return found
