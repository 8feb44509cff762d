"""Web pages that a server sends instead of data."""

from __future__ import annotations

import re

from affectlab.errors import FetchError
from affectlab.files.urls import redact

HTML_TAGS = re.compile(rb"<(?:!doctype\s++html|html|head|body)\b", re.I)


def refuse_web_page(url: str, start: bytes, content_type: str) -> None:
    """Raise if a body is a web page: usually an error or log-in page instead of the data.

    Args:
        url: where it is from.
        start: its first bytes.
        content_type: as the server reports it; empty where there is none.

    Raises:
        FetchError: it is one; reports its title.
    """
    claims = content_type.split(";")[0].strip().lower() in ("text/html", "application/xhtml+xml")
    if not claims and not begins_as_html(start):
        return
    title = html_title(start)
    named = f" (titled {title!r})" if title else ""
    raise FetchError(f"{redact(url)}: sent a web page{named} in place of the data")


def begins_as_html(start: bytes) -> bool:
    """Tell whether the first tag is one of a web page.

    An XML declaration and comments may precede it.
    Each byte is looked at once: the sender may have chosen them so that a pattern backtracks.
    """
    place = _behind_space(start, 0)
    if start[place : place + 5].lower() == b"<?xml":
        place = _behind_space(start, start.find(b">", place) + 1)
    while start.startswith(b"<!--", place):
        end = start.find(b"-->", place + 4)
        place = _behind_space(start, end + 3) if end >= 0 else len(start)
    return HTML_TAGS.match(start, place) is not None


def _behind_space(text: bytes, place: int) -> int:
    while place < len(text) and text[place : place + 1].isspace():
        place += 1
    return place


def html_title(start: bytes) -> str:
    """Return the title of a web page, shortened; empty if it has none."""
    lower = start.lower()
    tag = lower.find(b"<title")
    begin = lower.find(b">", tag) + 1 if tag >= 0 else 0
    end = lower.find(b"</title", begin) if begin else -1
    return start[begin:end].decode("utf-8", "replace").strip()[:80] if end >= 0 else ""
