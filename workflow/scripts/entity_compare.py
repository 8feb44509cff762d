"""Bring the seeds of each run together, and hold runs on the same data against each other."""

from itertools import islice

from affectlab.config.models import Bootstrap, typed
from affectlab.entity.compare import compare
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
models = iter(snakemake.input.get("trained"))
compare(
    metrics_paths=snakemake.input.metrics,
    predictions_paths=snakemake.input.predictions,
    model_directories=[list(islice(models, number)) for number in snakemake.params.models],
    records_paths=dict(zip(snakemake.params.data, snakemake.input.records, strict=True)),
    description_paths=dict(zip(snakemake.params.data, snakemake.input.descriptions, strict=True)),
    bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
    schema=snakemake.input.schema,
    output_path=snakemake.output.comparison,
)
