"""Store what a trained network predicts for the images of other data."""

from pathlib import Path

from affectlab.datasets.description import read_description
from affectlab.face.data import read_faces
from affectlab.face.other_data import predict_other
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
predict_other(
    read_faces(paths.faces, paths.metadata, read_description(paths.description)),
    Path(paths.model),
    Path(snakemake.output.predictions),
    snakemake.threads,
)
