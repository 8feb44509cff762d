"""Store what a trained network says of every held-out text."""

from pathlib import Path

from affectlab.emotion.predict_records import predict_records
from affectlab.emotion.readers import read_any
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
predict_records(
    data=read_any(paths.records, paths.description, snakemake.params.fold),
    model_directory=Path(snakemake.input.model),
    predictions_path=Path(snakemake.output.predictions),
    splits=snakemake.params.splits,
    threads=snakemake.threads,
)
