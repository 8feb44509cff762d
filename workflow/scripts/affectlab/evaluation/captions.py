"""What a figure or a table is of: run, data set, split and number of items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def run_on_data(record: Mapping[str, Any]) -> str:
    """Name the run of a record, its data set, what was scored, and n.

    Args:
        record: metrics.json of a run and seed, or its parts ``run``, ``seed`` and ``data``.
    """
    data = record["data"]
    split = data["split"].replace("_", " ")
    scored = f"{split} split" if split in ("test", "validation") else split
    return f"{record['run']}, seed {record['seed']}, on {data['name']}, {scored}, n = {data['n']:,}"
