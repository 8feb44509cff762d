"""Score a run's stored predictions: metrics, run record, figures."""

from pathlib import Path

from affectlab.config.models import Bootstrap, typed
from affectlab.entity.evaluate import evaluate
from affectlab.entity.settings import EntityRun
from affectlab.evaluation.records import ScoredRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
theirs = paths.get("outside") or None
drawn = snakemake.output.get("kappa")
evaluate(
    ScoredRun(
        name=snakemake.wildcards.run,
        seed=int(snakemake.wildcards.seed),
        recipe=typed(EntityRun, snakemake.params.recipe),
        bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
        threads=snakemake.threads,
        training_path=paths.get("training") or None,
        manifest_path=paths.get("model") or None,
        metrics_path=snakemake.output.metrics,
        metrics_schema=paths.metrics_schema,
        run_path=snakemake.output.run,
        run_schema=paths.run_schema,
    ),
    predictions_path=paths.predictions,
    records_path=paths.records,
    description_path=paths.description,
    model_directories=paths.get("trained"),
    figures=Path(drawn).parent if drawn else None,
    subgroups_path=paths.get("subgroups") or None,
    outside=(theirs, paths.audit) if theirs else None,
)
