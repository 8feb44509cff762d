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

NAMES = {"uar": "unweighted average recall", "ccc": "concordance", "macro_f1": "macro F1"} | {
    "rouge_l": "ROUGE-L",
    "chrf": "chrF",
}
"""Scores in sentences, where the name in metrics.json is not enough."""


ORDER = ("uar", "accuracy", "macro_f1", "exact_match", "ccc", "rouge_l", "chrf")
"""Scores by their importance; stored records are sorted by name."""


MACRO_F1 = (
    "Macro F1 is the mean over the classes that occur in a subgroup, in labels or predictions. It"
    " does not compare subgroups in which other classes occur."
)
"""Of data with one class for each item."""


class ItemScore(NamedTuple):
    """A score of any set of items.

    Attributes:
        columns: ``[n, D]``, what each item adds to the sums that the score needs.
        statistic: from sums ``[..., D]`` to scores ``[...]``.
        interval: from the sums of each group ``[G, D]`` to value and limits.
        bounds: lowest and highest possible value.
    """

    columns: stats.Array
    statistic: Callable[[stats.Array], stats.Array]
    interval: Callable[[Floats], Interval]
    bounds: tuple[float, float] = (0.0, 1.0)


class ScoredItems(NamedTuple):
    """The items of a run and their scores.

    Attributes:
        ids: of the n items.
        groups: ``[n]``, the group of each item; items of one group are resampled together.
        scores: name -> score.
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
                name: _scored(score, places, groups, stated, bootstrap)
                for name, score in scores.items()
            }
            if places
            else {},
        }
    return {"subgroups": found}


def _scored(
    score: ItemScore,
    places: Sequence[int],
    groups: Sequence[Any],
    subgroups: Sequence[str],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """One score of the subgroups of the items at *places*, as metrics.json has it."""
    found = subgroup_scores(
        score.columns[places],
        score.statistic,
        score.interval,
        groups=np.asarray(groups)[places],
        subgroups=subgroups,
        bootstrap=bootstrap,
    )
    record, widest = found.as_record(), score.bounds[1] - score.bounds[0]
    if record["largest_gap"] is not None:
        # No true gap lies beyond.
        record["largest_gap"]["ci"] = np.clip(record["largest_gap"]["ci"], -widest, widest).tolist()
    return record


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


def shown_scores(part: Mapping[str, Any]) -> list[str]:
    """Names of the scores of one column, the most important first."""
    return sorted(part["metrics"], key=ORDER.index)


def subgroup_rows(part: Mapping[str, Any]) -> list[Row]:
    """The rows of the table of one column, from its part of metrics.json."""
    metrics, names = part["metrics"], shown_scores(part)
    if not names:
        return []
    return [
        Row(
            name,
            one["n"],
            one["groups"],
            {score: metrics[score]["scores"][name] for score in names},
        )
        for name, one in sorted(metrics[names[0]]["scores"].items())
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
    if "accuracy" in part["metrics"] and "macro_f1" in part["metrics"]:
        sentences.append(MACRO_F1)
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
    score = shown_scores(part)[0]
    found = part["metrics"][score]
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
    rows = subgroup_rows(part)
    small = [row for row in rows if next(iter(row.scores.values()))["too_small"]]
    if small and len(small) == len(rows):
        yield "Every subgroup has too few items for a precise score."
    elif small:
        named = ", ".join(f"{row.name} (n = {row.n:,})" for row in small)
        yield f"Too few items for a precise score: {named}."


def subgroup_lines(record: Mapping[str, Any]) -> list[str]:
    """The lines of evaluation_results.txt; none for a run without subgroups."""
    lines = []
    for column, part in record.get("subgroups", {}).items():
        rows = subgroup_rows(part)
        width = max([len(column), *(len(row.name) for row in rows)]) + 2
        names = shown_scores(part)
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
