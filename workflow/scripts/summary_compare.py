"""Compare all runs with each other; score seeds and folds of each together."""

from affectlab.config.models import Bootstrap, typed
from affectlab.files.logs import configure_logging
from affectlab.summary.compare import compare

configure_logging(snakemake.log[0])
compare(
    metrics_paths=snakemake.input.metrics,
    predictions_paths=snakemake.input.predictions,
    details_paths=snakemake.input.details,
    records_paths=dict(zip(snakemake.params.data, snakemake.input.records, strict=True)),
    folds=snakemake.params.folds,
    pools=snakemake.params.pools,
    baseline=snakemake.params.baseline,
    bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
    schema=snakemake.input.schema,
    output_path=snakemake.output.comparison,
)
