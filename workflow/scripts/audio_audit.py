"""Decode every clip once: what each is like, and whether the corpus can be used."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.audio.audit import write_audit
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
write_audit(
    records_path=Path(snakemake.input.records),
    description_path=Path(snakemake.input.description),
    quarantine_path=Path(snakemake.input.quarantine),
    raw_directory=manifest_directory(snakemake.input.manifest),
    audit_path=Path(snakemake.output.audit),
    measures_path=Path(snakemake.output.measures),
    expected=snakemake.params.expected,
    on_bad_record=snakemake.params.on_bad_record,
    threads=snakemake.threads,
    manifest_path=Path(snakemake.input.manifest),
)
