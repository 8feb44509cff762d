"""Find texts of other data that are nearly the same as own ones."""

from pathlib import Path

from affectlab.emotion.data import read_data
from affectlab.emotion.other_data import find_copies
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
find_copies(
    read_data(paths.records, paths.description),
    read_data(paths.other_records, paths.other_description),
    Path(snakemake.output.copies),
)
