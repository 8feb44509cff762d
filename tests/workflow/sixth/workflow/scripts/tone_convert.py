"""Convert the raw table of a tone data set into records, and audit them."""

from pathlib import Path

from affectlab.tone.data import convert

from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
convert(
    manifest_path=Path(snakemake.input.manifest),
    records_path=Path(snakemake.output.records),
    audit_path=Path(snakemake.output.audit),
)
