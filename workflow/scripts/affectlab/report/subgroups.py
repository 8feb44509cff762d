"""Scores by subgroup in the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from affectlab.evaluation.by_subgroup import (
    score_name,
    shown_scores,
    subgroup_rows,
    subgroup_sentences,
)
from affectlab.report.results import SeedResult
from affectlab.report.section import render

HERE = Path(__file__).parent


def subgroup_tables(experiment: str, runs: Mapping[str, Sequence[SeedResult]]) -> str:
    """A table for each run and column, with what it shows; empty without subgroups.

    The scores are those of the first seed.

    Args:
        experiment: its name.
        runs: name -> what each seed left.
    """
    tables = [
        {
            "run": name,
            "seed": seeds[0].metrics["seed"],
            "column": column,
            "scores": [score_name(score) for score in shown_scores(part)],
            "rows": subgroup_rows(part),
            "sentences": subgroup_sentences(seeds[0].metrics, column),
        }
        for name, seeds in runs.items()
        for column, part in seeds[0].metrics.get("subgroups", {}).items()
    ]
    if not tables:
        return ""
    return render(HERE / "subgroups.html.j2", experiment=experiment, tables=tables)
