"""Check the labels of a data set; fails where they are broken."""

from pathlib import Path

from affectlab.config.models import typed
from affectlab.face.label_check import write_check
from affectlab.face.settings import Labels
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
write_check(
    labels_path=Path(snakemake.input.labels),
    faces_path=Path(snakemake.input.faces),
    metadata_path=Path(snakemake.input.metadata),
    check_path=Path(snakemake.output.check),
    figure=Path(snakemake.output.labels).with_suffix(""),
    settings=typed(Labels, snakemake.params.labels),
    threads=snakemake.threads,
)
