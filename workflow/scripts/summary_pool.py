"""Score the folds of cross-validated runs together, beside baselines on the same cases."""

from affectlab.files.logs import configure_logging
from affectlab.summary.pooling import pool

configure_logging(snakemake.log[0])
runs = list(snakemake.params.folds)
pool(
    pools=snakemake.params.pools,
    data=snakemake.params.data,
    folds=snakemake.params.folds,
    records_paths=dict(zip(snakemake.params.records, snakemake.input.records, strict=True)),
    predictions_paths=dict(zip(runs, snakemake.input.predictions, strict=True)),
    details_paths=dict(zip(runs, snakemake.input.details, strict=True)),
    bootstrap=snakemake.params.bootstrap,
    output_path=snakemake.output.pooled,
)
