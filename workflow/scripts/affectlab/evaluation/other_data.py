"""Scores of a trained model on other data than its own, and how far they fall.

Two questions are scored on the items whose class both data sets have:

* ``shared``: which of the shared classes is it? The probabilities of the other classes are left
  out. This is the headline, because the items of both data sets then have the same answers;
* ``all_classes``: which of all classes of the model is it? A class that the other data do not have
  is a wrong answer.

The first score is the unweighted average recall (``uar``). The accuracy also depends on the shares
of the classes, which differ between data sets.

The drop is the score on the run's own held-out items minus that on the other data, for the same
classes. The two samples are independent, so its limits follow from those of both scores (Zou and
Donner, Statistics in Medicine 27 (2008) 1693, doi 10.1002/sim.3095). These respect groups of items,
and they are not symmetric near 0 and 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.config.other_data import class_mistakes, shared_classes
from affectlab.errors import UserError
from affectlab.evaluation import stats
from affectlab.evaluation.by_subgroup import ItemScore, ScoredItems, confusion_item_scores
from affectlab.evaluation.comparison import SEEDS_NEEDED
from affectlab.evaluation.other_answers import Answers
from affectlab.evaluation.records import SCHEMAS, metric, read_record, write_record
from affectlab.evaluation.stats import Interval

SCORES: Mapping[str, Callable[[stats.Array], stats.Floats]] = {
    "balanced_accuracy": stats.balanced_accuracy,
    "accuracy": stats.accuracy,
}
HEADLINE = "uar"
"""The balanced accuracy under the name that reports have for it."""

INTERVAL = (
    "scores: those of one run; the drop: from the limits of two independent scores (Zou and Donner"
    " 2008)"
)


class Scored(NamedTuple):
    """Items of the shared classes with their scores.

    Attributes:
        shared: of the decisions among the shared classes.
        all_classes: of the decisions among all classes of the model.
        counts: items of each shared class that occurs.
        answers: how often each shared class was decided for, among the shared classes.
    """

    shared: ScoredItems
    all_classes: ScoredItems
    counts: Mapping[str, int]
    answers: Mapping[str, int]


class Origin(NamedTuple):
    """Where a score comes from: name of the data set, and the split that is scored."""

    data: str
    split: str


@dataclass(frozen=True, slots=True)
class OtherTest:
    """A trained model that is tested on other data.

    Attributes:
        experiment: its name.
        run: its name.
        seed: of the training.
        data: name of the other data.
        given: ``classes`` of the block of the other data under ``test_on``.
        bootstrap: level of the intervals.
        answers: what `write_answers` stored.
        copies: what `write_copies` stored.
    """

    experiment: str
    run: str
    seed: int
    data: str
    given: Mapping[str, str]
    bootstrap: Bootstrap
    answers: Path
    copies: Path

    def mapping(
        self,
        own: Sequence[str],
        theirs: Sequence[str],
        own_labels: Collection[str],
        their_labels: Collection[str],
    ) -> dict[str, str]:
        """Class of the other data -> class of the model, of those that both samples have.

        The two scores would be about other classes if one sample lacked a class.

        Args:
            own: classes of the model.
            theirs: classes of the other data.
            own_labels: true classes of the scored items of the own data.
            their_labels: those of the items of the other data.

        Raises:
            UserError: see `mapping_of`.
        """
        block = f"{self.experiment}.runs.{self.run}.test_on.{self.data}"
        found = mapping_of(block, own, theirs, self.given)
        common = {found[name] for name in their_labels if name in found} & set(own_labels)
        return {name: ours for name, ours in found.items() if ours in common}

    def header(self, protocol: str, task_version: int) -> dict[str, Any]:
        """What identifies the model in the record.

        Args:
            protocol: of the run.
            task_version: of the labels and scores of the experiment.
        """
        return {
            "experiment": self.experiment,
            "run": self.run,
            "seed": self.seed,
            "protocol": protocol,
            "task_version": task_version,
        }


def mapping_of(
    path: str, own: Sequence[str], theirs: Sequence[str], given: Mapping[str, str]
) -> dict[str, str]:
    """Class of the other data -> class of the model, in the order of the other data.

    Args:
        path: dotted path of the block, for messages.
        own: classes of the model.
        theirs: classes of the other data.
        given: ``classes`` of the block.

    Raises:
        UserError: the block names a class that is not there, or fewer than two are shared.
    """
    if mistakes := list(class_mistakes(path, own, theirs, given)):
        raise UserError("\n".join(mistakes))
    return shared_classes(own, theirs, given)


def shared_order(classes: Sequence[str], mapping: Mapping[str, str]) -> tuple[str, ...]:
    """The shared classes in the order of the model."""
    return tuple(name for name in classes if name in mapping.values())


def same_names(mapping: Mapping[str, str]) -> dict[str, str]:
    """The mapping of the own data: each shared class means itself."""
    return {name: name for name in mapping.values()}


def of_shared_classes(
    answers: Answers, classes: Sequence[str], mapping: Mapping[str, str], level: float
) -> Scored:
    """The items of the shared classes with their scores.

    Args:
        answers: of the model.
        classes: of the model.
        mapping: class of these data -> class of the model.
        level: of the intervals.

    Raises:
        UserError: the items have fewer than two of the shared classes.
    """
    shared = shared_order(classes, mapping)
    kept = [place for place, label in enumerate(answers.labels) if label in mapping]
    names = [mapping[answers.labels[place]] for place in kept]
    counts = class_counts(names, shared)
    columns = [list(classes).index(name) for name in shared]
    decided, shares = answers.predicted[kept], answers.probabilities[kept]
    ids = [answers.ids[place] for place in kept]
    groups = [answers.groups[place] for place in kept]
    restricted = restricted_decisions(decided, shares, columns)
    return Scored(
        _items(ids, groups, [shared.index(name) for name in names], restricted, len(shared), level),
        _items(
            ids,
            groups,
            [list(classes).index(name) for name in names],
            decided,
            len(classes),
            level,
        ),
        counts,
        answer_counts(restricted, shared),
    )


def answer_counts(decided: stats.Integers, shared: Sequence[str]) -> dict[str, int]:
    """Shared class -> how often it was decided for.

    Args:
        decided: places in *shared*.
        shared: the shared classes.
    """
    found = np.bincount(decided.ravel(), minlength=len(shared))
    return dict(zip(shared, found.tolist(), strict=True))


def class_counts(names: Sequence[str], shared: Sequence[str]) -> dict[str, int]:
    """Items of each shared class that occurs, in the order of *shared*.

    Raises:
        UserError: fewer than two classes occur.
    """
    found = Counter(names)
    counts = {name: found[name] for name in shared if found[name]}
    if len(counts) < 2:
        occurring = ", ".join(counts) or "none"
        raise UserError(
            "test_on: the scored items have fewer than two of the shared classes "
            f"({', '.join(shared)}); they have: {occurring}"
        )
    return counts


def restricted_decisions(
    decided: stats.Integers, probabilities: stats.Floats, columns: Sequence[int]
) -> stats.Integers:
    """The likeliest of some classes, ``[n]`` places in *columns*.

    Args:
        decided: ``[n]`` class ids, the likeliest of all classes.
        probabilities: ``[n, K]``.
        columns: ids of the classes that are possible.
    """
    place = {column: number for number, column in enumerate(columns)}
    best = probabilities[:, list(columns)].argmax(axis=1)
    # Stored probabilities are rounded; a decision among all classes stays what it was.
    return np.array(
        [place.get(own, other) for own, other in zip(decided.tolist(), best.tolist(), strict=True)],
        dtype=np.int64,
    )


def _items(
    ids: Sequence[str],
    groups: Sequence[Any],
    labels: Sequence[int],
    decided: stats.Integers,
    size: int,
    level: float,
) -> ScoredItems:
    scores = confusion_item_scores(
        np.array(labels, dtype=np.int64), decided, dict(SCORES), size, level
    )
    named: dict[str, ItemScore] = {
        HEADLINE if name == "balanced_accuracy" else name: one for name, one in scores.items()
    }
    return ScoredItems(ids, groups, named)


def interval_of(
    items: ScoredItems, name: str, without: Collection[str] = frozenset()
) -> Interval | None:
    """A score of the items; None where *without* leaves none.

    Args:
        items: with their scores.
        name: of the score.
        without: ids of items that are left out.
    """
    places = [place for place, one in enumerate(items.ids) if one not in without]
    if not places:
        return None
    score, groups = items.scores[name], np.asarray(items.groups)[places]
    return score.interval(stats.group_sums(score.columns[places], groups))


def independent_difference(first: Interval, second: Interval) -> Interval:
    """The difference of two scores of independent samples, *first* minus *second*.

    The limits are those of Zou and Donner, see the head of this module.
    """
    value = first.value - second.value
    down = math.hypot(first.value - first.low, second.high - second.value)
    up = math.hypot(first.high - first.value, second.value - second.low)
    return Interval(value, max(value - down, -1.0), min(value + up, 1.0))


def score_part(
    within: ScoredItems, other: ScoredItems, counts: Mapping[str, int]
) -> dict[str, dict[str, Any]]:
    """Each score within the own data and on the other data, and the drop.

    Args:
        within: held-out items of the own data.
        other: items of the other data.
        counts: items of each class in the other data, for the trivial baseline.
    """
    commonest = max(counts, key=lambda name: counts[name])
    trivial = {HEADLINE: 1 / len(counts), "accuracy": counts[commonest] / sum(counts.values())}
    found = {}
    for name in within.scores:
        ours, theirs = interval_of(within, name), interval_of(other, name)
        assert ours is not None
        assert theirs is not None
        drop = independent_difference(ours, theirs)
        found[name] = {
            "other": metric(
                theirs.value,
                "higher",
                (theirs.low, theirs.high),
                (f"always_{commonest}", trivial[name]),
            ),
            "within": {"value": ours.value, "ci": [ours.low, ours.high]},
            "drop": {"value": drop.value, "ci": [drop.low, drop.high]},
        }
    return found


def other_data_record(
    *,
    classes: Sequence[str],
    mapping: Mapping[str, str],
    labels: Iterable[str],
    within: tuple[Origin, Scored],
    other: tuple[Origin, Scored],
    copies: Mapping[str, Any],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """The scores of a model on other data, without what identifies the run.

    Args:
        classes: of the model.
        mapping: class of the other data -> class of the model.
        labels: true classes of all items of the other data that were predicted.
        within: origin and items of the own data.
        other: the same of the other data.
        copies: ``rule``, and ``items``: those of the other data that the model was trained on, or
            on a near copy of them.
        bootstrap: level of the intervals.
    """
    (own, ours), (origin, theirs) = within, other
    left_out = Counter(label for label in labels if label not in mapping)
    copied = sorted(set(copies["items"]) & set(theirs.shared.ids))
    return {
        "classes": list(classes),
        "mapping": dict(mapping),
        "shared_classes": list(shared_order(classes, mapping)),
        "left_out": dict(sorted(left_out.items())),
        "within": _described(own, ours.shared),
        "other": {
            **_described(origin, theirs.shared),
            "classes": dict(theirs.counts),
            "answers": dict(theirs.answers),
        },
        "shared": score_part(ours.shared, theirs.shared, theirs.counts),
        "all_classes": score_part(ours.all_classes, theirs.all_classes, theirs.counts),
        "copies": {
            "rule": copies["rule"],
            "items": copied,
            "without": _without(theirs.shared, copied) if copied else None,
        },
        "interval": {"method": INTERVAL, "level": bootstrap.level},
    }


def _described(origin: Origin, items: ScoredItems) -> dict[str, Any]:
    return {
        "data": origin.data,
        "split": origin.split,
        "n": len(items.ids),
        "groups": len(set(items.groups)),
    }


def _without(items: ScoredItems, copied: Sequence[str]) -> dict[str, Any] | None:
    """The scores on the items that are no copies; None where there is none."""
    rest = [place for place, name in enumerate(items.ids) if name not in set(copied)]
    if not rest:
        return None
    found = {name: interval_of(items, name, set(copied)) for name in items.scores}
    return {
        "n": len(rest),
        "groups": len({items.groups[place] for place in rest}),
        "metrics": {
            name: {"value": one.value, "ci": [one.low, one.high]}
            for name, one in found.items()
            if one is not None
        },
    }


def write_other_data(
    path: Path, run: Mapping[str, Any], record: Mapping[str, Any], schema: Path
) -> None:
    """Store the scores of a model on other data.

    Args:
        path: of metrics.json in the folder of the other data.
        run: of `OtherTest.header`.
        record: of `other_data_record`.
        schema: of the whole.

    Raises:
        ValueError: the record does not fit its schema; nothing is written.
    """
    write_record(path, {**run, **record}, schema)


def read_other_data(path: Path) -> dict[str, Any]:
    """Read what `write_other_data` stored.

    Raises:
        DataError: the file is missing, or is no such record.
    """
    return read_record(path, SCHEMAS / "other_data.schema.json")


class SeedMean(NamedTuple):
    """The mean of a score over seeds.

    Attributes:
        value: the mean.
        ci: its limits.
        covers: ``items``, or ``items and seeds``.
    """

    value: float
    ci: tuple[float, float]
    covers: str


def over_seeds(entries: Sequence[Mapping[str, Any]], level: float) -> SeedMean:
    """The mean of a score of several seeds on the same items, with its interval.

    The distance to each limit is at most the mean distance of the single seeds, which is what it
    would be if all seeds erred alike. From `SEEDS_NEEDED` seeds on, Student's t for seeds is added
    (the root of the sum of squares), so the interval is cautious.

    Args:
        entries: ``value`` and ``ci`` of each seed.
        level: of the intervals.
    """
    from scipy.stats import t

    values = np.array([one["value"] for one in entries])
    lows, highs = np.array([one["ci"] for one in entries]).T
    value, count = float(values.mean()), len(values)
    down, up = float((values - lows).mean()), float((highs - values).mean())
    if count < SEEDS_NEEDED:
        return SeedMean(value, (value - down, value + up), "items")
    seeds = float(t.ppf((1 + level) / 2, count - 1) * values.std(ddof=1) / count**0.5)
    limits = max(value - math.hypot(down, seeds), -1.0), min(value + math.hypot(up, seeds), 1.0)
    return SeedMean(value, limits, "items and seeds")
