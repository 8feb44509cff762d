"""Score a run's stored predictions: metrics, run record, figures."""

from pathlib import Path

from affectlab.core.logs import configure_logging
from affectlab.entity.evaluate import evaluate

configure_logging(snakemake.log[0])
paths = snakemake.input
evaluate(
    predictions_path=paths.predictions,
    records_path=paths.records,
    training_path=paths.training,
    model_directory=paths.trained,
    model_manifest_path=paths.model,
    run=snakemake.wildcards.run,
    seed=int(snakemake.wildcards.seed),
    recipe=snakemake.params.recipe,
    bootstrap=snakemake.params.bootstrap,
    threads=snakemake.threads,
    metrics_schema=paths.metrics_schema,
    run_schema=paths.run_schema,
    metrics_path=snakemake.output.metrics,
    run_path=snakemake.output.run,
    figures=Path(snakemake.output.kappa).parent,
)
