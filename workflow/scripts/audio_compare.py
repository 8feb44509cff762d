"""Compare all runs, bring the seeds of each together, and draw them all."""

from pathlib import Path

from affectlab.audio.compare import compare
from affectlab.config.models import Bootstrap, typed
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
    bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
    schema=snakemake.input.schema,
    output_path=Path(snakemake.output.comparison),
    forest_path=Path(snakemake.output.forest).with_suffix(""),
)
