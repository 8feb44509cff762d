"""What a registry says of a data set, compared with what an audit found."""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.errors import DataError, UserError
from affectlab.files.io import read_json, round_significant

logger = logging.getLogger(__name__)

KnownIssues = Mapping[str, Callable[[dict[str, Any]], int]]
"""What a registry may expect under ``known_issues``, and where an audit has it."""


SHARE_TOLERANCE = 0.01
"""Difference of a class share that is not reported, whatever the number of labels."""

SHARE_DEVIATIONS = 4.0
"""Standard deviations of a class share in a sample of this size that are not reported."""


def refuse_unusable(reasons: Sequence[str]) -> None:
    """Raise if there are *reasons* why data cannot be used.

    Raises:
        UserError: lists all of them.
    """
    if reasons:
        listed = "\n".join(f"  - {reason}" for reason in reasons)
        raise UserError(f"the data cannot be used:\n{listed}")


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


def share_rows(
    shares: Mapping[str, float], counts: Mapping[str, int], what: str
) -> list[dict[str, Any]]:
    """Rows as `compare` gives them, of published class shares.

    A share differs if it is further off than `SHARE_TOLERANCE` and than `SHARE_DEVIATIONS`
    standard deviations of a sample of this size.

    Args:
        shares: class -> published share.
        counts: class -> labels found.
        what: of which each row gives the share, such as ``records``.
    """
    total = sum(counts.values())
    rows = []
    for name, share in shares.items():
        found = counts.get(name, 0) / total if total else 0.0
        spread = SHARE_DEVIATIONS * math.sqrt(share * (1 - share) / total) if total else 0.0
        close = abs(found - share) <= max(SHARE_TOLERANCE, spread)
        rows.append(
            {
                "what": f"share of class {name} among {what}",
                "expected": share,
                "found": round_significant(found, 4),
                "status": "ok" if close else "differs",
            }
        )
    return rows


def report_differences(
    audit_path: Path | str, audit: Mapping[str, Any], manifest_path: Path | str | None = None
) -> None:
    """Print on the console, through the log, in what the data differ from the registry.

    Args:
        audit_path: of the audit, for the messages.
        audit: the findings, with ``expected``.
        manifest_path: of the data; its notes on files that are not as pinned are printed, too.

    Raises:
        DataError: the manifest is none.
    """
    lines = [
        f"{row['what']}: expected {row['expected']}, found {row['found']}"
        for row in audit["expected"]
        if row["status"] != "ok"
    ]
    if manifest_path is not None:
        manifest = read_json(manifest_path)
        try:
            if not manifest["verified"] and manifest["source"]["kind"] != "sample":
                lines += manifest["notes"]
        except (KeyError, TypeError) as error:
            problem = f"expected a manifest with verified, source and notes, not {error}"
            raise DataError(manifest_path, None, problem) from error
    if lines:
        listed = "".join(f"\n  - {line}" for line in lines)
        logger.warning("%s: the data differ from their registry entry:%s", audit_path, listed)


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
