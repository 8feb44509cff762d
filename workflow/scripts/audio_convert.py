"""Turn a speech corpus into one tidy table of clips, whatever its layout."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.audio.convert import Outputs, convert
from affectlab.datasets.exclusions import read_exclusion
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
convert(
    manifest_directory(snakemake.input.manifest),
    Outputs(**{name: Path(path) for name, path in snakemake.output.items()}),
    snakemake.params.entry,
    snakemake.params.on_bad_record,
    snakemake.params.clips,
    similar_names=snakemake.params.similar_names,
    exclusion=read_exclusion(snakemake.params.exclude, snakemake.input.get("exclude") or None),
)
