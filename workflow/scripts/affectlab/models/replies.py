"""What language models write: thinking, and JSON somewhere in a text."""

from __future__ import annotations

import json
import re
from typing import Any

_THINKING = r"(?:think|thinking|thought|reasoning)>"
_THINKING_START = re.compile(rf"\s*<{_THINKING}", re.IGNORECASE)
_THINKING_END = re.compile(rf"</{_THINKING}", re.IGNORECASE)

_OBJECT_START = re.compile(r'\{\s{0,99}["}]')

LINES_COUNTED = 50
"""Characters in which lines are counted while one is read as JSON."""

READINGS = 30
"""How often, on average, a character of an output is read in search of JSON."""


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


DECODER = json.JSONDecoder(parse_constant=_no_number)
"""Of JSON, without the numbers that are none."""


def after_thinking(text: str) -> str:
    """What a model wrote after its thinking; an end that is missing makes all of it thinking."""
    ends = list(_THINKING_END.finditer(text))
    if ends:
        return text[ends[-1].end() :]
    start = _THINKING_START.match(text)
    return "" if start else text


def json_objects(text: str) -> list[dict[str, Any]]:
    """The complete JSON objects in a text, in their order; those inside others are not listed.

    Takes time in proportion to the length of the text, whatever stands in it: what fails to be
    read again and again is given up.
    """
    found: list[dict[str, Any]] = []
    effort = READINGS * (len(text) + 100)
    end = 0
    for start in _OBJECT_START.finditer(text):
        place = start.start()
        if place < end:
            continue
        try:
            value, end = DECODER.raw_decode(text, place)
        except json.JSONDecodeError as error:
            # An unfinished string was read to the end of the text, and is reported at its start.
            read = len(text) if error.msg.startswith("Unterminated") else error.pos
            # The error counts the lines before it, which is fast but takes time too.
            effort -= read - place + error.pos // LINES_COUNTED + 1
        except (ValueError, RecursionError):
            effort -= len(text) - place
        else:
            found.append(value)
        if effort < 0:
            break
    return found
