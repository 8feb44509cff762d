"""Turn the raw files of a data set into one tidy table of texts, whatever their layout."""

from affectlab.assets.manifest import manifest_directory
from affectlab.config.models import typed
from affectlab.datasets.exclusions import read_exclusion
from affectlab.entity.convert import convert
from affectlab.entity.settings import Split
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
split = snakemake.params.split
convert(
    manifest_directory(snakemake.input.manifest),
    snakemake.output.records,
    snakemake.output.quarantine,
    snakemake.output.description,
    entry=snakemake.params.entry,
    on_bad_record=snakemake.params.on_bad_record,
    split=None if split is None else typed(Split, split),
    similar_names=snakemake.params.similar_names,
    exclusion=read_exclusion(snakemake.params.exclude, snakemake.input.get("exclude") or None),
)
