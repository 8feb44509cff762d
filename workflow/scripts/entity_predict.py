"""Store what a trained model says of every held-out target, and of corrupted copies of the test."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.entity.predict import predict_records
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
predict_records(
    records_path=Path(snakemake.input.records),
    description_path=Path(snakemake.input.description),
    fold=snakemake.params.fold,
    model_directory=Path(snakemake.input.trained),
    base_model=manifest_directory(snakemake.input.model),
    predictions_path=Path(snakemake.output.predictions),
    corruption_seed=snakemake.params.corruption_seed,
    threads=snakemake.threads,
)
