"""Score a run's stored predictions: metrics, run record, figures."""

from pathlib import Path

from affectlab.config.models import Bootstrap, typed
from affectlab.entity.evaluate import evaluate
from affectlab.entity.settings import EntityRun
from affectlab.evaluation.records import ScoredRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
evaluate(
    ScoredRun(
        name=snakemake.wildcards.run,
        seed=int(snakemake.wildcards.seed),
        recipe=typed(EntityRun, snakemake.params.recipe),
        bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
        threads=snakemake.threads,
        training_path=paths.training,
        manifest_path=paths.model,
        metrics_path=snakemake.output.metrics,
        metrics_schema=paths.metrics_schema,
        run_path=snakemake.output.run,
        run_schema=paths.run_schema,
    ),
    predictions_path=paths.predictions,
    records_path=paths.records,
    description_path=paths.description,
    model_directories=paths.trained,
    figures=Path(snakemake.output.kappa).parent,
)
