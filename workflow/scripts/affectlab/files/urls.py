"""Addresses as they may be shown: messages, manifests and reports are passed on."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

HIDDEN = "***"
"""What takes the place of a secret."""

SECRET_PARTS = ("key", "token", "secret", "sig", "pass", "pwd", "auth", "credential")
"""Parts of the names of query parameters that hold secrets, as of signed addresses."""


def redact(url: str) -> str:
    """Hide user name, password and secret query values of an address, and drop its fragment.

    An address without any of these is returned as it is, so that it can still be copied.

    Args:
        url: an address of any scheme; it need not be a valid one.

    Returns:
        The address with `HIDDEN` in place of each secret. Of an address that cannot be split into
        its parts, everything between the scheme and the last ``@`` is hidden.
    """
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        scheme, separator, rest = url.partition("://")
        _, at, place = rest.rpartition("@")
        return f"{scheme}{separator}{HIDDEN}@{place}" if at else url
    _, at, place = parts.netloc.rpartition("@")
    netloc = f"{HIDDEN}@{place}" if at else parts.netloc
    shown = [(name, HIDDEN if _is_secret(name) else value) for name, value in query]
    if netloc == parts.netloc and shown == query and not parts.fragment:
        return url
    text = parts.query if shown == query else urlencode(shown, safe="*")
    return urlunsplit((parts.scheme, netloc, parts.path, text, ""))


def _is_secret(name: str) -> bool:
    return any(part in name.casefold() for part in SECRET_PARTS)
