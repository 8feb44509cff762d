"""Compute valence, arousal and the two proxy labels of every image."""

from pathlib import Path

from affectlab.config.models import typed
from affectlab.face.labels import write_labels
from affectlab.face.settings import Labels
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
write_labels(
    faces_path=Path(snakemake.input.faces),
    metadata_path=Path(snakemake.input.metadata),
    labels_path=Path(snakemake.output.labels),
    settings=typed(Labels, snakemake.params.labels),
    threads=snakemake.threads,
)
