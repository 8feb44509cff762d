"""The stored predictions of a run that predicts label sets, checked against the records."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from affectlab.audio.label_set_target import COMMONEST, SHARES
from affectlab.audio.predictions import (
    OUTSIDE,
    Corpus,
    Known,
    Repeats,
    read_schemes,
    stated_by_all,
)
from affectlab.audio.refits import Refits
from affectlab.evaluation import stats
from affectlab.evaluation.multilabel import LabelSets, Prior
from affectlab.evaluation.multilabel_predictions import (
    Decided,
    as_table,
    indicators,
    read_decided,
    read_decided_by_others,
)
from affectlab.evaluation.predictions import Line


@dataclass(frozen=True, slots=True)
class PredictedSets:
    """The predictions of one scheme and its repeats.

    Attributes:
        subjects: ``[n]``, of the items.
        repeats: of each repeat the predictions of the same n items, sorted by their ids. The
            schemes of single views have no priors; their training items are those of the main
            scheme.
        refits: as of `Predicted`.
    """

    subjects: tuple[str, ...]
    repeats: tuple[LabelSets, ...]
    refits: Refits | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the items, sorted."""
        return self.repeats[0].ids

    @property
    def true(self) -> stats.Array:
        """Booleans ``[n, L]``."""
        return self.repeats[0].true

    @property
    def ranked(self) -> bool:
        """Whether probabilities are stated."""
        return self.repeats[0].probabilities is not None

    def without(self, ids: Container[str]) -> PredictedSets:
        """The same predictions less those of the items *ids*."""
        pairs = zip(self.ids, self.subjects, strict=True)
        return replace(
            self,
            subjects=tuple(subject for name, subject in pairs if name not in ids),
            repeats=tuple(one.without(ids) for one in self.repeats),
        )

    def pooled(self) -> LabelSets:
        """All repeats below each other, without priors."""
        return LabelSets(
            self.ids * len(self.repeats),
            np.concatenate([one.true for one in self.repeats]),
            np.concatenate([one.decided for one in self.repeats]),
            _stacked([one.probabilities for one in self.repeats]),
            _stacked([one.thresholds for one in self.repeats]),
            (),
        )


def _stacked(parts: Sequence[stats.Floats | None]) -> stats.Floats | None:
    """Arrays below each other; None where one is not known."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def read_set_predictions(
    path: Path | str, classes: Sequence[str], corpus: Corpus, main: str
) -> dict[str, PredictedSets]:
    """Read predictions.jsonl of label sets, by scheme.

    Args:
        path: of the file.
        classes: in their order.
        corpus: what the predictions are of.
        main: the scheme whose scores are the result, which must be there.

    Raises:
        DataError: see `read_schemes`; or a line is no possible prediction of label sets.
    """

    def check(line: Line, known: Known) -> None:
        if line.names("labels", classes) != list(known.label):
            raise line.error("the labels are not those of the records")

    return {
        scheme: _collect(scheme, repeats, classes, corpus.of_scheme(scheme))
        for scheme, repeats in read_schemes(path, corpus, main, check).items()
    }


def _collect(
    scheme: str, repeats: Repeats, classes: Sequence[str], items: Mapping[str, Known]
) -> PredictedSets:
    ids = tuple(sorted(repeats[0]))
    stated = [stated_by_all(repeats, field, scheme) for field in (SHARES, COMMONEST)]
    decide: Callable[[Line, Sequence[str]], Decided] = read_decided
    if scheme == OUTSIDE:
        ranked = stated_by_all(repeats, "probabilities", scheme)
        stated_by_all(repeats, "thresholds", scheme)
        decide = partial(read_decided_by_others, probabilities=ranked)
    true = indicators([[str(name) for name in items[one].label] for one in ids], classes)
    found = []
    for lines in repeats:
        own = [lines[name] for name in ids]
        priors = tuple(_prior(line, classes) for line in own) if all(stated) else ()
        found.append(_repeat([decide(line, classes) for line in own], ids, true, classes, priors))
    return PredictedSets(tuple(items[name].subject for name in ids), tuple(found))


def _repeat(
    decided: Sequence[Decided],
    ids: tuple[str, ...],
    true: stats.Array,
    classes: Sequence[str],
    priors: tuple[Prior, ...],
) -> LabelSets:
    return LabelSets(
        ids,
        true,
        indicators([tuple(one.decided) for one in decided], classes),
        as_table([one.probabilities for one in decided], true.shape),
        as_table([one.thresholds for one in decided], true.shape),
        priors,
    )


def _prior(line: Line, classes: Sequence[str]) -> Prior:
    commonest = np.array(line.shares(COMMONEST, classes)) > 0
    return Prior(np.array(line.shares(SHARES, classes), dtype=np.float64), commonest)
