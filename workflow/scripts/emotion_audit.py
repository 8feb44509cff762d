"""Audit a data set: counts, conflicts, duplicates, overlap, and what differs from expectation."""

from affectlab.emotion.audit import write_audit
from affectlab.emotion.readers import read_any
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
write_audit(
    read_any(snakemake.input.records, snakemake.input.description),
    snakemake.input.quarantine,
    snakemake.output.audit,
    snakemake.params.expected,
    snakemake.input.manifest,
)
