"""Store what a trained network says of every held-out image."""

from pathlib import Path

from affectlab.datasets.description import read_description
from affectlab.face.predict import predict_corpus
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
predict_corpus(
    faces_path=Path(snakemake.input.faces),
    metadata_path=Path(snakemake.input.metadata),
    description=read_description(snakemake.input.description),
    fold=snakemake.params.fold,
    model_directory=Path(snakemake.input.model),
    predictions_path=Path(snakemake.output.predictions),
    splits=snakemake.params.splits,
    threads=snakemake.threads,
)
