"""Compare all runs, and bring the seeds of each together."""

from affectlab.config.models import Bootstrap, typed
from affectlab.emotion.compare import compare
from affectlab.emotion.readers import read_any
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
compare(
    metrics_paths=snakemake.input.metrics,
    predictions_paths=snakemake.input.predictions,
    data={
        name: read_any(records, description)
        for name, records, description in zip(
            snakemake.params.data,
            snakemake.input.records,
            snakemake.input.descriptions,
            strict=True,
        )
    },
    baseline=snakemake.params.baseline,
    bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
    schema=snakemake.input.schema,
    output_path=snakemake.output.comparison,
)
