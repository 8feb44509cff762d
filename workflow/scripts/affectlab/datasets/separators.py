"""Tables whose fields are separated by another character than expected, as spreadsheets save."""

from __future__ import annotations

from collections.abc import Collection, Sequence

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""Characters that separate fields, by their names in messages."""


def wrong_separator(
    header: Sequence[str], columns: Collection[str], expected: str = ","
) -> str | None:
    """Report that the fields of a table are separated by another character.

    Args:
        header: names of the columns, split at *expected*.
        columns: that the table must have.
        expected: the character that should separate fields.

    Returns:
        What is wrong, or None if no other separator gives the *columns*.
    """
    line = expected.join(header)
    for separator, name in SEPARATORS.items():
        # Not by a reader, which raises for quotation marks that only fit the other separator.
        cells = {cell.strip().strip('"').strip() for cell in line.split(separator)}
        if separator != expected and set(columns) <= cells:
            return (
                f"its fields are separated by {name}, expected {SEPARATORS[expected]}; save the "
                f"table with {SEPARATORS[expected]}"
            )
    return None


def other_separator(line: str, fields: int, expected: str) -> str:
    """Name the character that splits a line without a header into as many *fields* as expected.

    Returns:
        The end of a message, empty if no other separator does.
    """
    for separator, name in SEPARATORS.items():
        # A comma is part of many texts.
        if separator not in (expected, ",") and len(line.split(separator)) == fields:
            return f"; the fields seem to be separated by {name}, expected {SEPARATORS[expected]}"
    return ""
