"""Audit a data set: counts, languages, lengths, duplicates, overlap."""

from affectlab.files.logs import configure_logging
from affectlab.summary.audit import write_audit

configure_logging(snakemake.log[0])
write_audit(
    snakemake.input.records,
    snakemake.input.description,
    snakemake.input.quarantine,
    snakemake.output.audit,
    snakemake.params.expected,
    snakemake.input.manifest,
)
