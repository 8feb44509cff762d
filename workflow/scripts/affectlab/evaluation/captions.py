"""What a figure or a table is of: run, data set, split and number of items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCORED = {
    "test": "test split",
    "validation": "validation split",
    "cross-validation": "cross-validated",
    "grouped": "grouped folds",
    "official": "the corpus' own split",
    "published": "published folds",
    "predictions": "given predictions",
}
"""What was scored, as records have it -> for a reader."""


def run_on_data(record: Mapping[str, Any]) -> str:
    """Name the run of a record, its data set, what was scored, and n.

    Args:
        record: metrics.json of a run and seed, or its parts ``run``, ``seed`` and ``data``.
    """
    data = record["data"]
    scored = SCORED.get(data["split"], data["split"])
    return f"{record['run']}, seed {record['seed']}, on {data['name']}, {scored}, n = {data['n']:,}"
