"""The scores of a run by subgroup, as `metrics.json` holds them, and the words for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.errors import UserError
from affectlab.evaluation import stats
from affectlab.evaluation.stats import Floats, Interval
from affectlab.evaluation.subgroups import subgroup_scores

NAMES = {"uar": "unweighted average recall", "ccc": "concordance", "macro_f1": "macro F1"}
"""Scores in sentences, where the name in metrics.json is not enough."""


class ItemScore(NamedTuple):
    """A score of any set of items.

    Attributes:
        columns: ``[n, D]``, what each item adds to the sums that the score needs.
        statistic: from sums ``[..., D]`` to scores ``[...]``.
        interval: from the sums of each group ``[G, D]`` to value and limits.
    """

    columns: stats.Array
    statistic: Callable[[stats.Array], stats.Array]
    interval: Callable[[Floats], Interval]


class ScoredItems(NamedTuple):
    """The items of a run and their scores.

    Attributes:
        ids: of the n items.
        groups: ``[n]``, the group of each item; items of one group are resampled together.
        scores: name -> score; the first one is the most important.
    """

    ids: Sequence[str]
    groups: Sequence[Any]
    scores: Mapping[str, ItemScore]


def subgroups_record(
    subgroups: Mapping[str, Mapping[str, str | None]],
    items: Callable[[], ScoredItems],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """Score the subgroups of every column.

    Args:
        subgroups: column -> item -> name of its subgroup, or None.
        items: computes what was scored; not called without columns.
        bootstrap: of the intervals.

    Returns:
        ``{"subgroups": {column: {"not_stated", "metrics"}}}``; empty without columns.

    Raises:
        UserError: a scored item has no subgroup, not even an empty one.
    """
    if not subgroups:
        return {}
    found = {}
    ids, groups, scores = items()
    for column, of_item in subgroups.items():
        if not all(name in of_item for name in ids):
            raise UserError(f"subgroups: some scored items have no line with {column}")
        names = [of_item[name] for name in ids]
        places = [place for place, name in enumerate(names) if name is not None]
        stated = [str(names[place]) for place in places]
        found[column] = {
            "not_stated": len(names) - len(places),
            "metrics": {
                name: subgroup_scores(
                    score.columns[places],
                    score.statistic,
                    score.interval,
                    groups=np.asarray(groups)[places],
                    subgroups=stated,
                    bootstrap=bootstrap,
                ).as_record()
                for name, score in scores.items()
            }
            if places
            else {},
        }
    return {"subgroups": found}


class Row(NamedTuple):
    """One subgroup in a table.

    Attributes:
        name: of the subgroup.
        n: items.
        groups: of the items.
        scores: name -> ``value``, ``ci`` and ``too_small``, in the order of the table.
    """

    name: str
    n: int
    groups: int
    scores: Mapping[str, Mapping[str, Any]]


def subgroup_rows(part: Mapping[str, Any]) -> list[Row]:
    """The rows of the table of one column, from its part of metrics.json."""
    metrics = part["metrics"]
    if not metrics:
        return []
    first = next(iter(metrics.values()))["scores"]
    return [
        Row(
            name,
            one["n"],
            one["groups"],
            {score: known["scores"][name] for score, known in metrics.items()},
        )
        for name, one in sorted(first.items())
    ]


def score_name(name: str) -> str:
    """A score in the words of a sentence."""
    return NAMES.get(name, name.replace("_", " "))


def subgroup_sentences(record: Mapping[str, Any], column: str) -> list[str]:
    """What the scores by one column show.

    The first sentence is on the largest gap of the first score, the others on what limits it.

    Args:
        record: metrics.json of the run.
        column: that divides the items.
    """
    part, level = record["subgroups"][column], record["interval"]["level"]
    sentences = [*_gap_sentences(column, part, level), *_size_sentences(part)]
    if part["not_stated"]:
        count = part["not_stated"]
        sentences.append(
            f"For {count:,} {'item' if count == 1 else 'items'} {column} is not stated;"
            " the table leaves them out."
        )
    return sentences


def _gap_sentences(column: str, part: Mapping[str, Any], level: float) -> Iterator[str]:
    if not part["metrics"]:
        return
    score, found = next(iter(part["metrics"].items()))
    gap = found["largest_gap"]
    if gap is None:
        yield f"All scored items are of one subgroup by {column}, so there is no gap."
        return
    low, high = gap["ci"]
    values = [found["scores"][gap[side]]["value"] for side in ("higher", "lower")]
    yield (
        f"By {column}, the largest gap in {score_name(score)} is {gap['value']:.3f}"
        f" ({100 * level:g} % interval {low:.3f} to {high:.3f}), between {gap['higher']}"
        f" ({values[0]:.3f}) and {gap['lower']} ({values[1]:.3f})."
    )
    if gap["pairs"] > 1:
        yield f"The interval accounts for the choice of this pair among {gap['pairs']}."
    if low <= 0:
        yield "It includes 0: these items do not show that the score differs between subgroups."


def _size_sentences(part: Mapping[str, Any]) -> Iterator[str]:
    score = next(iter(part["metrics"]), None)
    small = [row for row in subgroup_rows(part) if score and row.scores[score]["too_small"]]
    if small:
        named = ", ".join(f"{row.name} (n = {row.n:,})" for row in small)
        yield f"Too few items for a precise score: {named}."


def subgroup_lines(record: Mapping[str, Any]) -> list[str]:
    """The lines of evaluation_results.txt; none for a run without subgroups."""
    lines = []
    for column, part in record.get("subgroups", {}).items():
        rows = subgroup_rows(part)
        width = max([len(column), *(len(row.name) for row in rows)]) + 2
        names = list(part["metrics"])
        heads = "".join(f"  {name:<26}" for name in names)
        lines += ["", f"{column:<{width}}{'n':>7}{'groups':>8}{heads}".rstrip()]
        for row in rows:
            cells = "".join(f"  {_cell(row.scores[name]):<26}" for name in names)
            lines.append(f"{row.name:<{width}}{row.n:>7}{row.groups:>8}{cells}".rstrip())
        lines += subgroup_sentences(record, column)
    return lines


def _cell(entry: Mapping[str, Any]) -> str:
    low, high = entry["ci"]
    return f"{entry['value']:.4f} [{low:.4f}, {high:.4f}]"


def confusion_item_scores(
    labels: stats.Integers,
    predicted: stats.Integers,
    statistics: Mapping[str, Callable[[stats.Array], stats.Floats]],
    size: int,
    level: float,
) -> dict[str, ItemScore]:
    """Scores of decisions.

    Args:
        labels: ``[n]`` class ids.
        predicted: ``[n]`` class ids.
        statistics: name of a score -> function of a confusion matrix.
        size: number of classes.
        level: of the intervals.
    """
    from affectlab.evaluation.intervals import confusion_interval

    columns = stats.confusion_columns(labels, predicted, size)

    def of_sums(score: Callable[[stats.Array], stats.Floats], sums: stats.Array) -> stats.Array:
        return score(sums.reshape(*np.shape(sums)[:-1], size, size))

    return {
        name: ItemScore(
            columns, partial(of_sums, score), partial(confusion_interval, name, level=level)
        )
        for name, score in statistics.items()
    }
