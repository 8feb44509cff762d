"""Find images of other data that are nearly the same as own ones."""

from pathlib import Path

from affectlab.datasets.description import read_description
from affectlab.face.data import read_faces
from affectlab.face.other_data import find_copies
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
find_copies(
    read_faces(paths.faces, paths.metadata, read_description(paths.description)),
    read_faces(paths.other_faces, paths.other_metadata, read_description(paths.other_description)),
    Path(snakemake.output.copies),
)
