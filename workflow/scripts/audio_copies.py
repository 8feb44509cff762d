"""Find recordings of other data that sound nearly the same as own ones."""

from pathlib import Path

from affectlab.audio.other_data import find_copies
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
find_copies(
    (Path(paths.records), Path(paths.measures), Path(paths.manifest)),
    (Path(paths.other_records), Path(paths.other_measures), Path(paths.other_manifest)),
    Path(snakemake.output.copies),
    snakemake.threads,
)
