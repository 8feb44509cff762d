"""Ids that are no id of the data, and differ from one in the spelling alone."""

from __future__ import annotations

from collections.abc import Iterable

from affectlab.datasets.names import name_key


def spelling_hint(unknown: Iterable[str], known: Iterable[str]) -> str:
    """A hint for the end of a message, empty where no spelling is near.

    Args:
        unknown: ids that are none of the data.
        known: ids of the data.
    """
    own = {name_key(name): name for name in known}
    near = [(name, own[name_key(name)]) for name in unknown if name_key(name) in own]
    if not near:
        return ""
    given, meant = near[0]
    others = f", as do {len(near) - 1} more" if len(near) > 1 else ""
    return f"; {given[:60]!r} differs from {meant[:60]!r} in case or white space only{others}"
