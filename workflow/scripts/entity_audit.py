"""Audit a data set: counts, places of spans, overlap of splits, what differs from expectation."""

from affectlab.entity.audit import write_audit
from affectlab.entity.data import read_data
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
write_audit(
    read_data(snakemake.input.records, snakemake.input.description),
    snakemake.input.quarantine,
    snakemake.output.audit,
    layout=snakemake.params.layout,
    expected=snakemake.params.expected,
    manifest_path=snakemake.input.manifest,
)
