"""Audit a data set: counts, blank images, twins, overlap, and what differs from expectation."""

from pathlib import Path

from affectlab.datasets.description import read_description
from affectlab.face.audit import write_audit
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
write_audit(
    faces_path=Path(snakemake.input.faces),
    metadata_path=Path(snakemake.input.metadata),
    quarantine_path=Path(snakemake.input.quarantine),
    audit_path=Path(snakemake.output.audit),
    description=read_description(snakemake.input.description),
    required_splits=snakemake.params.required_splits,
    expected=snakemake.params.expected,
    manifest_path=Path(snakemake.input.manifest),
)
