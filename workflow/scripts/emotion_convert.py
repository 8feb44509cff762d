"""Turn the raw files of a data set into one tidy table, whatever their layout."""

from affectlab.assets.manifest import manifest_directory
from affectlab.emotion.convert import convert
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
convert(
    manifest_directory(snakemake.input.manifest),
    snakemake.output.records,
    snakemake.output.quarantine,
    snakemake.params.on_bad_record,
    similar_names=snakemake.params.similar_names,
    expected=snakemake.params.expected,
)
