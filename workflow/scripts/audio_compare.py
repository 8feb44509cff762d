"""Hold all runs against each other, bring the seeds of each together, and draw them all."""

from pathlib import Path

from affectlab.audio.evaluate import compare
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
compare(
    metrics_paths=snakemake.input.metrics,
    predictions_paths=snakemake.input.predictions,
    data_paths=dict(
        zip(
            snakemake.params.data,
            zip(snakemake.input.records, snakemake.input.measures, strict=True),
            strict=True,
        )
    ),
    baseline=snakemake.params.baseline,
    bootstrap=snakemake.params.bootstrap,
    schema=snakemake.input.schema,
    output_path=Path(snakemake.output.comparison),
    forest_path=Path(snakemake.output.forest).with_suffix(""),
)
