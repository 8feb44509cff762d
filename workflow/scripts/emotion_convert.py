"""Turn the raw files of a data set into one tidy table, whatever their layout."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.datasets.exclusions import read_exclusion
from affectlab.emotion.convert import Outputs, convert
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
convert(
    manifest_directory(snakemake.input.manifest),
    Outputs(**{name: Path(path) for name, path in snakemake.output.items()}),
    snakemake.params.entry,
    snakemake.params.on_bad_record,
    similar_names=snakemake.params.similar_names,
    exclusion=read_exclusion(snakemake.params.exclude, snakemake.input.get("exclude") or None),
)
