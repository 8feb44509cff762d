"""What the names in a table of predictions mean."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from affectlab.config.messages import nearest
from affectlab.datasets.classes import class_key
from affectlab.errors import UserError

KEY = "predictions.classes"
"""Key of the configuration that says what names mean; `affectlab referee` calls it --classes."""


def check_names(given: Mapping[str, str], known: Collection[str]) -> None:
    """Refuse names that stand for nothing in the data.

    Args:
        given: name in the table -> name in the data.
        known: names in the data.

    Raises:
        UserError: the data have no such name, or the two sides are exchanged.
    """
    for theirs, ours in given.items():
        if ours in known:
            continue
        problem = f"{KEY}: {theirs} stands for {ours!r}, and these data have no such name"
        if theirs in known:
            raise UserError(
                f"{problem}. The name in the table comes first, that of the data last: the other "
                f"way round {ours} would stand for {theirs!r}"
            )
        raise UserError(f"{problem}{nearest(ours, known)}")


@dataclass(frozen=True, slots=True)
class Names:
    """What the names in a table mean.

    Attributes:
        given: name in the table -> name in the data, where they differ.
        known: names in the data.
    """

    given: Mapping[str, str]
    known: Collection[str]

    def meaning(self, name: str) -> str:
        """The name in the data; *name* itself where there is none.

        Case, white space and Unicode form make no difference.
        """
        if name in self.given or name in self.known:
            return self.given.get(name, name)
        key = class_key(name)
        return next((own for own in self.known if class_key(own) == key), name)

    def columns(self, found: Iterable[str]) -> dict[str, str]:
        """Name in the data -> column. A column that is called exactly so comes first."""
        exact = {*self.given, *self.known}
        return {self.meaning(one): one for one in sorted(found, key=lambda one: one in exact)}
