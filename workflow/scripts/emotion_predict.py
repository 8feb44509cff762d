"""Store what a trained network says of every held-out text."""

from pathlib import Path

from affectlab.emotion.predict import predict_records
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
predict_records(
    records_path=Path(snakemake.input.records),
    model_directory=Path(snakemake.input.model),
    predictions_path=Path(snakemake.output.predictions),
    splits=snakemake.params.splits,
    threads=snakemake.threads,
)
