"""Store what a fitted probe predicts for the recordings of other data."""

from pathlib import Path

from affectlab.audio.other_data import predict_other
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
predict_other(
    records_path=Path(paths.records),
    measures_path=Path(paths.measures),
    description_path=Path(paths.description),
    embeddings_path=Path(paths.embeddings),
    model_directory=Path(paths.model),
    task=snakemake.params.task,
    unit=snakemake.params.unit,
    path=Path(snakemake.output.predictions),
)
