"""What the scoring of a run has in common, whatever is predicted: splits, pairs and seeds.

A `Scorer` knows one kind of target on one data set: how its predictions are read, and which scores
they have.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from affectlab.config.models import Bootstrap
from affectlab.evaluation.by_subgroup import ItemScore
from affectlab.evaluation.comparison import Resamples, Run, Score, difference
from affectlab.evaluation.predictions import Scope, scope_of
from affectlab.evaluation.records import read_metrics

HELD_OUT = ("validation", "test")
"""The splits that are predicted and scored."""


class Split(Protocol):
    """What a run predicted for the items of one split, in the order of their ids."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the items."""

    def __len__(self) -> int: ...

    def without(self, ids: Container[str]) -> Self:
        """The same predictions less those of the items *ids*."""


SplitT = TypeVar("SplitT", bound=Split)


class Scorer(Protocol[SplitT]):
    """How predictions of one kind of target are scored on one data set."""

    @property
    def compared(self) -> tuple[str, ...]:
        """Scores whose paired differences between runs are reported."""

    def read(self, path: Path | str, scope: Scope | None = None) -> dict[str, SplitT]:
        """Read the predictions of the splits `HELD_OUT` and check them.

        Args:
            path: predictions.jsonl of a run.
            scope: of a run on somebody else's predictions; None for one of our own.

        Raises:
            DataError: a line is not a prediction, or the items are not those of the data.
        """

    def groups_of(self, split: SplitT) -> list[int]:
        """The group of each item; items of one group are resampled together."""

    def scores(self, split: SplitT) -> dict[str, Score]:
        """The scores that are functions of sums over groups."""

    def score_split(self, split: SplitT, bootstrap: Bootstrap) -> dict[str, Any]:
        """All scores of a split: ``n``, ``groups`` and ``metrics``, as `metrics.json` has them."""

    def item_scores(self, split: SplitT, bootstrap: Bootstrap) -> dict[str, ItemScore]:
        """The scores that subgroups of the items have."""

    def bounds(self, score: str) -> tuple[float, float]:
        """The lowest and the highest value of a score."""


def scored_record(
    scorer: Scorer[SplitT],
    predictions: Mapping[str, SplitT],
    overlapping: Container[str] | None,
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """The scores of a run, as `metrics.json` holds them, without what identifies the run.

    Args:
        scorer: of the data.
        predictions: of the test split, and of validation if the run predicts it.
        overlapping: test items that are, or nearly are, in the training data as well; None where
            nobody knows what the model was trained on.
        bootstrap: of the intervals.
    """
    test = predictions["test"]
    others = {
        split: scorer.score_split(own, bootstrap)
        for split, own in predictions.items()
        if split != "test"
    }
    if overlapping is not None and len(remaining := test.without(overlapping)):
        others["test_without_overlap"] = scorer.score_split(remaining, bootstrap)
    return {**scorer.score_split(test, bootstrap), "other_splits": others}


def compare_two(
    scorer: Scorer[SplitT], first: SplitT, second: SplitT, bootstrap: Bootstrap
) -> dict[str, Any]:
    """Compare two trained models on the items of both: differences with intervals.

    The differences are *first* minus *second*. They say nothing of other seeds.
    """
    if first.ids != second.ids:
        apart = set(first.ids) ^ set(second.ids)
        first, second = first.without(apart), second.without(apart)
        if not len(first):
            raise ValueError("the two runs did not predict the same items")
    groups = scorer.groups_of(first)
    resamples = Resamples(groups, bootstrap.resamples, bootstrap.seed)
    ours, theirs = (scorer.scores(side) for side in (first, second))
    differences = {
        name: difference(
            resamples.trials([ours[name]]),
            resamples.trials([theirs[name]]),
            groups=len(set(groups)),
            level=bootstrap.level,
            over_seeds=False,
        ).as_record()
        for name in scorer.compared
    }
    return {"differences": differences}


def read_runs(
    metrics_paths: Sequence[Path | str],
    predictions_paths: Sequence[Path | str],
    scorers: Mapping[str, Scorer[SplitT]],
    bootstrap: Bootstrap,
    *,
    seedless: Container[str] = (),
) -> list[Run]:
    """Read the runs that are to be compared, each with all its seeds.

    Args:
        metrics_paths: metrics.json of every run and seed, runs and seeds in the order wanted.
        predictions_paths: predictions.jsonl of the same, in the same order.
        scorers: by name of the data set.
        bootstrap: of the intervals.
        seedless: methods that no seed changes.
    """
    runs: dict[str, list[tuple[dict[str, Any], SplitT]]] = {}
    for metrics_path, predictions_path in zip(metrics_paths, predictions_paths, strict=True):
        record = read_metrics(metrics_path)
        outside = record.get("details", {}).get("outside")
        scope = None if outside is None else scope_of(outside)
        predictions = scorers[record["data"]["name"]].read(predictions_path, scope)
        runs.setdefault(record["run"], []).append((record, predictions["test"]))
    draws: dict[Any, Resamples] = {}
    found = []
    for seeds in runs.values():
        first, split = seeds[0]
        data = first["data"]["name"]
        scorer = scorers[data]
        items = data, split.ids
        if items not in draws:
            draws[items] = Resamples(scorer.groups_of(split), bootstrap.resamples, bootstrap.seed)
        each = [scorer.scores(one) for _, one in seeds]
        found.append(
            Run(
                records=[record for record, _ in seeds],
                items=items,
                trials={name: draws[items].trials([one[name] for one in each]) for name in each[0]},
                bounds={name: scorer.bounds(name) for name in each[0]},
                seedless=first["method"] in seedless,
            )
        )
    return found
