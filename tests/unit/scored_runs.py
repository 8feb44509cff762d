"""Runs for the evaluations of the unit tests."""

from pathlib import Path

from affectlab.config.models import Bootstrap
from affectlab.evaluation.records import RunT, ScoredRun

SCHEMAS = Path(__file__).parents[2] / "workflow" / "schemas"
BOOTSTRAP = Bootstrap(resamples=100)


def scored_run(
    folder: Path,
    recipe: RunT,
    *,
    name: str = "made",
    seed: int = 1,
    bootstrap: Bootstrap = BOOTSTRAP,
    training_path: Path | None = None,
    manifest_path: Path | None = None,
) -> ScoredRun[RunT]:
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
