"""Classes of a model from elsewhere, and which of the data each of them stands for.

Classes that stand for none take part in the model's choice, but no item has them. Their
probability is reported and left out: that of the others is scaled to sum to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from affectlab.datasets.classes import class_key
from affectlab.errors import UserError
from affectlab.evaluation.outside_tables import listed_names


@dataclass(frozen=True, slots=True)
class ClassMapping:
    """What the classes of a model mean.

    Attributes:
        theirs: classes of the model, in the order of its outputs.
        ours: classes of the data, in the order of their ids.
        meaning: of each of *theirs*, the one of *ours* that it stands for; None for none.
    """

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    meaning: tuple[str | None, ...]

    @classmethod
    def of(
        cls, theirs: Sequence[str], ours: Sequence[str], given: Mapping[str, str], key: str
    ) -> ClassMapping:
        """Find the meaning of each class of a model.

        Args:
            theirs: classes of the model.
            ours: classes of the data.
            given: a class of the model -> what it stands for. Of the others, one that is called
                as a class of the data stands for it; case, white space and Unicode form make no
                difference.
            key: dotted path of *given* in the configuration, for messages.

        Raises:
            UserError: *given* has a name that the model or the data do not have, or nothing has a
                meaning.
        """
        sides = f"classes of the model: {', '.join(theirs)}; of the data: {', '.join(ours)}"
        if unknown := [name for name in given if name not in theirs]:
            raise UserError(f"{key}: the model has no class {unknown[0]!r}; {sides}")
        if unknown := [name for name in given.values() if name not in ours]:
            raise UserError(f"{key}: the data have no class {unknown[0]!r}; {sides}")
        own = {class_key(name): name for name in ours}
        meaning = tuple(given.get(name, own.get(class_key(name))) for name in theirs)
        if not any(meaning):
            raise UserError(f"{key}: no class of the model is one of the data; {sides}")
        return cls(tuple(theirs), tuple(ours), meaning)

    @property
    def without_counterpart(self) -> list[str]:
        """Classes of the data that no class of the model stands for."""
        return [name for name in self.ours if name not in self.meaning]

    def apply(self, log_probabilities: np.ndarray) -> Mapped:
        """Give the classes of the data the probabilities of those that stand for them.

        Args:
            log_probabilities: of the model's classes, float64 ``[n, theirs]``.
        """
        grouped = np.full((len(log_probabilities), len(self.ours)), -np.inf)
        for place, name in enumerate(self.ours):
            columns = [k for k, meant in enumerate(self.meaning) if meant == name]
            if columns:
                grouped[:, place] = np.logaddexp.reduce(log_probabilities[:, columns], axis=1)
        total = np.logaddexp.reduce(grouped, axis=1, keepdims=True)
        unmapped = np.array([meant is None for meant in self.meaning])
        return Mapped(
            self,
            np.exp(grouped - total),
            np.exp(log_probabilities[:, unmapped]),
            unmapped[log_probabilities.argmax(axis=1)],
        )


@dataclass(frozen=True, slots=True)
class Mapped:
    """Probabilities of the classes of the data.

    Attributes:
        mapping: that they were made by.
        probabilities: float64 ``[n, ours]``; each row sums to 1.
        left_out: probabilities of the model's classes that stand for none, float64
            ``[n, unmapped]``.
        first_left_out: whether the likeliest class of the model is one of these, ``[n]``.
    """

    mapping: ClassMapping
    probabilities: np.ndarray
    left_out: np.ndarray
    first_left_out: np.ndarray

    def record(self, items: Sequence[int]) -> dict[str, Any]:
        """What outside.json has on the classes.

        Args:
            items: rows of those that are scored.

        Returns:
            ``mapped``, a class of the model -> of the data; ``unmapped``, a class of the model ->
            its mean probability; ``without_counterpart``; ``first_choice_unmapped``, for how many
            of the ``items`` the likeliest class of the model is an unmapped one.
        """
        mapping, rows = self.mapping, np.asarray(items, dtype=np.int64)
        pairs = list(zip(mapping.theirs, mapping.meaning, strict=True))
        unmapped = [name for name, meant in pairs if meant is None]
        shares = self.left_out[rows].mean(axis=0).tolist()
        return {
            "mapped": {name: meant for name, meant in pairs if meant is not None},
            "unmapped": {
                name: round(share, 6) for name, share in zip(unmapped, shares, strict=True)
            },
            "without_counterpart": mapping.without_counterpart,
            "first_choice_unmapped": int(self.first_left_out[rows].sum()),
            "items": len(rows),
        }


def mapping_sentences(found: Mapping[str, Any], what: str) -> list[str]:
    """What has to be said of a mapping, from `Mapped.record` and the plural of an item."""
    sentences = []
    unmapped, first = found["unmapped"], found["first_choice_unmapped"]
    if unmapped:
        share = sum(unmapped.values())
        stand = "stands" if len(unmapped) == 1 else "stand"
        sentences.append(
            f"{listed_names(list(unmapped))} of the model {stand} for no class of these data."
            f" Their mean probability is {share:.3f}; it is left out, and the rest is scaled to 1."
            f" For {first} of {found['items']} {what} the model's first choice is among them."
        )
    if absent := found["without_counterpart"]:
        sentences.append(
            f"No class of the model stands for {listed_names(absent)}: the recall there is 0."
        )
    return sentences
