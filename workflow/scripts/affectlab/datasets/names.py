"""Names that group items, such as subjects and classes: one name, one spelling.

"P03" and "p03" are one speaker to a person and two to a program. If a speaker is spelled in two
ways, recordings of one voice land on both sides of a split.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from affectlab.errors import DataError

logger = logging.getLogger(__name__)

SIMILAR_NAMES = ("refuse", "merge")
"""What a converter does with names that differ in spelling only: stop, or take them as one."""

SHOWN_PAIRS = 5
"""So many pairs are in a message; a whole corpus may be spelled in two ways."""

_DROPPED = frozenset({"Cf", "Cc", "Zs", "Zl", "Zp"})
"""Unicode categories: invisible format and control characters, white space."""

_SAME = {ord(mark): "'" for mark in "\u2018\u2019\u02bc"} | {
    ord(mark): '"' for mark in "\u201c\u201d"
}
"""Typographic quotes, which editors put in place of the plain ones."""


def name_key(name: str) -> str:
    """What is left of a name without case, white space and Unicode form.

    Names with the same key are spellings of one name: "P03", "p03 ", "P 03" and the full-width
    form have the key "p03". Composed and decomposed letters, invisible characters, kinds of dash
    and of quote make no difference either. The folding is Unicode's compatibility caseless match
    (The Unicode Standard, section 3.13, D146), without white space.
    """
    if name.isascii():
        return "".join(name.split()).casefold()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", name).casefold())
    # A second round: what was folded may have a composed form that folds again.
    folded = unicodedata.normalize("NFKC", folded.casefold()).translate(_SAME)
    kept = []
    for character in folded:
        category = unicodedata.category(character)
        if category == "Pd":
            kept.append("-")
        elif category not in _DROPPED and not character.isspace():
            kept.append(character)
    return "".join(kept)


def check_setting(similar_names: str) -> None:
    """Refuse a setting that is not one of `SIMILAR_NAMES`.

    Raises:
        ValueError: it is not.
    """
    if similar_names not in SIMILAR_NAMES:
        raise ValueError(f"similar_names must be refuse or merge, not {similar_names!r}")


@dataclass(frozen=True, slots=True)
class Repeated:
    """An id that was there before.

    Attributes:
        name: the id.
        earlier: how it was spelled then.
        place: where it was then.
    """

    name: str
    earlier: str
    place: str

    @property
    def is_exact(self) -> bool:
        """Whether both are spelled alike."""
        return self.name == self.earlier

    def problem(self, file: str = "") -> str:
        """What is wrong, for a message about a record of *file*, which is not named again."""
        place = self.place.removeprefix(f"{file}, ") if file else self.place
        if self.is_exact:
            return f"the id {self.name[:60]!r} was already used in {place}"
        return (
            f"the id {_shown(self.name)} differs from {_shown(self.earlier)} in {place} in case, "
            "white space or Unicode form only; if these are two items, set similar_names: merge"
        )


class Ids:
    """Ids of items, each of which must be there once; spellings of one id count as the same."""

    def __init__(self, similar_names: str) -> None:
        """Start without ids.

        Args:
            similar_names: ``refuse`` also refuses ids that differ in spelling only; ``merge``
                takes them as ids of different items, for items are never merged.
        """
        check_setting(similar_names)
        self._exact = similar_names == "merge"
        self._seen: dict[str, tuple[str, str]] = {}

    def add(self, name: str, place: str) -> Repeated | None:
        """Take the id of an item at *place*; None if it is new."""
        key = name if self._exact else name_key(name)
        if key not in self._seen:
            self._seen[key] = name, place
            return None
        return Repeated(name, *self._seen[key])


class Spellings:
    """The names of one kind in a corpus, and in which ways each of them is spelled."""

    def __init__(self, what: str, key: Callable[[str], str] = name_key) -> None:
        """Start without names.

        Args:
            what: kind of the names in the singular, for messages.
            key: is the same for two spellings of one name.
        """
        self.what = what
        self._key = key
        self._by_key: dict[str, dict[str, tuple[int, str]]] = {}

    def add(self, name: str, place: str) -> None:
        """Count a name; *place* is where it is, such as ``line 12``."""
        spelled = self._by_key.setdefault(self._key(name), {})
        count, first = spelled.get(name, (0, place))
        spelled[name] = count + 1, first

    def clashes(self) -> list[str]:
        """A description of each name with more than one spelling: spellings, places, counts."""
        return [
            " and ".join(
                f"{_shown(name)} ({count} x, first at {place})"
                for name, (count, place) in spelled.items()
            )
            for spelled in self._by_key.values()
            if len(spelled) > 1
        ]

    def merged(self, name: str) -> str:
        """The commonest spelling of a name that was added; of equal ones the first."""
        spelled = self._by_key[self._key(name)]
        return max(spelled, key=lambda one: spelled[one][0])

    def check(self, path: Path | str, similar_names: str) -> None:
        """Act on names that are spelled in more than one way.

        Args:
            path: of the data, for messages.
            similar_names: ``refuse`` stops; ``merge`` logs them, and the caller takes `merged`.

        Raises:
            DataError: there are some, and *similar_names* is ``refuse``; lists them.
        """
        check_setting(similar_names)
        found = self.clashes()
        if not found:
            return
        more = f"; and {len(found) - SHOWN_PAIRS} more" if len(found) > SHOWN_PAIRS else ""
        listed = f"{'; '.join(found[:SHOWN_PAIRS])}{more}"
        if similar_names == "refuse":
            raise DataError(
                path,
                None,
                f"a {self.what} is spelled in more than one way (case, white space or Unicode "
                f"form): {listed}. Spell each in one way, or set similar_names: merge",
            )
        logger.warning("%s: spellings of one %s are merged: %s", path, self.what, listed)


def _shown(name: str) -> str:
    """The name so that spellings that look alike can be told apart."""
    plain = repr(name[:60])
    return plain if name.isascii() else f"{plain} = {name[:60]!a}"
