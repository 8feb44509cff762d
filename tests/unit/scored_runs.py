"""Runs for the evaluations of the unit tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectlab.evaluation.records import ScoredRun

SCHEMAS = Path(__file__).parents[2] / "workflow" / "schemas"
BOOTSTRAP = {"resamples": 100, "level": 0.95, "seed": 0}


def scored_run(
    folder: Path,
    recipe: Mapping[str, Any],
    *,
    name: str = "made",
    seed: int = 1,
    bootstrap: Mapping[str, Any] = BOOTSTRAP,
    training_path: Path | None = None,
    manifest_path: Path | None = None,
) -> ScoredRun:
    """A run whose records go to *folder*."""
    return ScoredRun(
        name=name,
        seed=seed,
        recipe=recipe,
        bootstrap=bootstrap,
        threads=1,
        training_path=training_path,
        manifest_path=manifest_path,
        metrics_path=folder / "metrics.json",
        metrics_schema=SCHEMAS / "metrics.schema.json",
        run_path=folder / "run.json",
        run_schema=SCHEMAS / "run.schema.json",
    )
