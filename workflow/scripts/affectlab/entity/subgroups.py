"""The subgroups of a user's own spans, and the scores that each has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.datasets.subgroups import Cells, rows_of_tables, subgroup_cells
from affectlab.evaluation import intervals, stats
from affectlab.evaluation.by_subgroup import ItemScore, ScoredItems
from affectlab.evaluation.multilabel import count_columns, counts_of
from affectlab.files.io import read_jsonl


def of_spans(
    directory: Path, records: Path, entry: Mapping[str, Any]
) -> tuple[list[str], Iterator[tuple[str, Cells]]]:
    """The targets of a user's table, and the rows with their subgroups.

    All targets of a text have the subgroup of its first row.

    Args:
        directory: of the raw data.
        records: records.jsonl of the data set.
        entry: of the data set in the registry.

    Returns:
        Ids of the targets, and id and cells of each.

    Raises:
        DataError: a table cannot be read, or lacks a column.
    """
    targets = {
        str(row["id"]): [str(target["id"]) for target in row["targets"]]
        for row in read_jsonl(records)
    }
    rows = rows_of_tables(directory, entry)
    cells = ((name, subgroup_cells(row.values)) for row in rows for name in targets.get(row.id, ()))
    return [name for own in targets.values() for name in own], cells


def target_items(
    ids: Sequence[str], groups: stats.Integers, table: Mapping[str, stats.Array], level: float
) -> ScoredItems:
    """The targets of a run with the scores that subgroups have, with intervals at *level*.

    Args:
        ids: of the targets.
        groups: number of the text or author of each, (n,).
        table: as `scores.columns` gives it.
        level: of the intervals.
    """
    truth, decided = table["truth"], table["decided"]
    right = (truth == decided).all(axis=1)

    def f1_interval(sums: stats.Floats) -> stats.Interval:
        hits, support, predicted = counts_of(sums)
        value, limits = intervals.share_limits(
            hits, support + predicted - hits, level, counted=support.any(axis=0), f1=True
        )
        return stats.Interval(float(value), float(limits.low), float(limits.high))

    return ScoredItems(
        ids,
        groups.tolist(),
        {
            "accuracy": ItemScore(
                np.c_[right, np.ones(len(right))],
                _share,
                lambda sums: intervals.share_interval(sums, level),
            ),
            "macro_f1": ItemScore(count_columns(truth, decided), _macro_f1, f1_interval),
        },
    )


def _share(sums: stats.Array) -> stats.Array:
    return np.asarray(sums[..., 0] / sums[..., 1])


def _macro_f1(sums: stats.Array) -> stats.Floats:
    """Mean F1 of the classes that occur in the truth, as `scores.score` has it."""
    hits, support, predicted = counts_of(sums)
    f1 = 2 * hits / np.maximum(support + predicted, 1)
    occurring = support > 0
    return np.asarray((f1 * occurring).sum(axis=-1) / np.maximum(occurring.sum(axis=-1), 1))
