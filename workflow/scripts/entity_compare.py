"""Bring the seeds of each run together, and hold runs on the same data against each other."""

from affectlab.config.models import Bootstrap, typed
from affectlab.entity.evaluate import compare
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
compare(
    metrics_paths=snakemake.input.metrics,
    predictions_paths=snakemake.input.predictions,
    model_directories=snakemake.input.trained,
    records_paths=dict(zip(snakemake.params.data, snakemake.input.records, strict=True)),
    bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
    schema=snakemake.input.schema,
    output_path=snakemake.output.comparison,
)
