"""Turn the raw images of a data set into one array and one table, FER+ votes joined."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.datasets.exclusions import read_exclusion
from affectlab.face.convert import convert
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
votes = snakemake.input.get("votes")
convert(
    raw_directory=manifest_directory(snakemake.input.manifest),
    votes_directory=manifest_directory(votes) if votes else None,
    faces_path=Path(snakemake.output.faces),
    metadata_path=Path(snakemake.output.metadata),
    quarantine_path=Path(snakemake.output.quarantine),
    on_bad_record=snakemake.params.on_bad_record,
    similar_names=snakemake.params.similar_names,
    exclusion=read_exclusion(snakemake.params.exclude, snakemake.input.get("exclude") or None),
    description_path=Path(snakemake.output.description),
    entry=snakemake.params.entry,
)
