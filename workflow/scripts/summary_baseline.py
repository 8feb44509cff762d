"""Store what a baseline without a model says of every test case."""

from pathlib import Path

from affectlab.files.logs import configure_logging
from affectlab.summary.baselines import write_baseline

configure_logging(snakemake.log[0])
write_baseline(
    snakemake.params.method,
    records_path=Path(snakemake.input.records),
    fold=snakemake.params.fold,
    predictions_path=Path(snakemake.output.predictions),
    details_path=Path(snakemake.output.details),
)
