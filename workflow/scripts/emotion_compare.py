"""Hold all runs against each other, and bring the seeds of each together."""

from affectlab.core.logs import configure_logging
from affectlab.emotion.evaluate import compare

configure_logging(snakemake.log[0])
compare(
    metrics_paths=snakemake.input.metrics,
    predictions_paths=snakemake.input.predictions,
    records_paths=dict(zip(snakemake.params.data, snakemake.input.records, strict=True)),
    baseline=snakemake.params.baseline,
    bootstrap=snakemake.params.bootstrap,
    schema=snakemake.input.schema,
    output_path=snakemake.output.comparison,
)
