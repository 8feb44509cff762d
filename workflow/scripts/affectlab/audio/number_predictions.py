"""The stored predictions of a run that predicts numbers, checked against the records."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from affectlab.audio.predictions import Corpus, Known, Repeats, read_schemes, stated_by_all
from affectlab.audio.refits import Refits
from affectlab.evaluation import stats
from affectlab.evaluation.predictions import Line


@dataclass(frozen=True, slots=True)
class PredictedNumbers:
    """The predictions of one scheme and its repeats.

    Attributes:
        ids: ``[n]``, sorted.
        subjects: ``[n]``.
        true: ``[n, D]``, in units of the data.
        values: ``[repeats, n, D]``.
        training_means: the mean of the training items of each item, ``[repeats, n, D]``; None for
            the schemes of single views, whose training items are those of the main scheme.
        refits: as of `Predicted`.
    """

    ids: tuple[str, ...]
    subjects: tuple[str, ...]
    true: stats.Floats
    values: stats.Floats
    training_means: stats.Floats | None
    refits: Refits | None = None

    def without(self, ids: Container[str]) -> PredictedNumbers:
        """The same predictions less those of the items *ids*."""
        kept = [place for place, name in enumerate(self.ids) if name not in ids]
        means = self.training_means
        return replace(
            self,
            ids=tuple(self.ids[place] for place in kept),
            subjects=tuple(self.subjects[place] for place in kept),
            true=self.true[kept],
            values=self.values[:, kept],
            training_means=None if means is None else means[:, kept],
        )


def read_number_predictions(
    path: Path | str, names: Sequence[str], corpus: Corpus, main: str
) -> dict[str, PredictedNumbers]:
    """Read predictions.jsonl of numbers, by scheme.

    Args:
        path: of the file.
        names: of the numbers.
        corpus: what the predictions are of.
        main: the scheme whose scores are the result, which must be there.

    Raises:
        DataError: see `read_schemes`; or a line holds no finite number for each name.
    """

    def check(line: Line, known: Known) -> None:
        if tuple(line.numbers("values", names)) != known.label:
            raise line.error("the values are not those of the records")

    return {
        scheme: _collect(scheme, repeats, names, corpus.of_scheme(scheme))
        for scheme, repeats in read_schemes(path, corpus, main, check).items()
    }


def _collect(
    scheme: str, repeats: Repeats, names: Sequence[str], items: Mapping[str, Known]
) -> PredictedNumbers:
    ids = tuple(sorted(repeats[0]))

    def table(field: str) -> stats.Floats:
        rows = [[repeat[name].numbers(field, names) for name in ids] for repeat in repeats]
        return np.array(rows, dtype=np.float64)

    return PredictedNumbers(
        ids,
        tuple(items[name].subject for name in ids),
        np.array([items[name].label for name in ids], dtype=np.float64),
        table("prediction"),
        table("training_mean") if stated_by_all(repeats, "training_mean", scheme) else None,
    )
