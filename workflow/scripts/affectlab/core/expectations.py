"""What a registry says of a data set, held against what an audit found."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from affectlab.core.errors import UserError

KnownIssues = Mapping[str, Callable[[dict[str, Any]], int]]
"""What a registry may expect under ``known_issues``, and where an audit has it."""


def compare(rows: Iterable[tuple[str, int, int]]) -> list[dict[str, Any]]:
    """Name, expected and found number of each row, as an audit stores them, with a status."""
    return [
        {
            "what": what,
            "expected": expected,
            "found": found,
            "status": "ok" if found == expected else "differs",
        }
        for what, expected, found in rows
    ]


def differing(audit: Mapping[str, Any]) -> list[str]:
    """In what the data at hand differ from what the registry says of them, by their audit."""
    return [row["what"] for row in audit["expected"] if row["status"] != "ok"]


def issue_rows(
    expected: Mapping[str, Any], known: KnownIssues, found: dict[str, Any]
) -> list[tuple[str, int, int]]:
    """Rows for `compare` of what a registry expects under ``known_issues``.

    Args:
        expected: ``expected`` of the data registry.
        known: the issues that the audit knows.
        found: what the audit found.

    Raises:
        UserError: an issue that the audit does not know; names the nearest.
    """
    rows = []
    for issue, number in expected.get("known_issues", {}).items():
        if issue not in known:
            near = difflib.get_close_matches(issue, known, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise UserError(
                f"expected.known_issues.{issue}: the audit knows only {', '.join(known)}{meant}"
            )
        rows.append((issue.replace("_", " "), number, known[issue](found)))
    return rows
