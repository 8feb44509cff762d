"""Turn a speech corpus into one tidy table of clips, whatever its layout."""

from affectlab.assets.manifest import manifest_directory
from affectlab.audio.convert import convert
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
convert(
    manifest_directory(snakemake.input.manifest),
    snakemake.params.layout,
    snakemake.output.records,
    snakemake.output.quarantine,
    snakemake.params.on_bad_record,
    snakemake.params.clips,
    similar_names=snakemake.params.similar_names,
    expected=snakemake.params.expected,
)
