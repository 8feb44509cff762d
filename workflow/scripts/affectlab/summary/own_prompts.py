"""Prompts of a user's own, which runs name as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def with_templates(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The runs of a valid block, with the text of their prompts instead of the names of files."""
    found = {}
    for name, run in runs.items():
        file = run.get("prompt_template")
        text = {} if file is None else {"prompt_template": Path(file).read_text(encoding="utf-8")}
        found[name] = {**run, **text}
    return found
