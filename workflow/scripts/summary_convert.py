"""Turn the raw file of a data set into one tidy table of cases, whatever its layout."""

from affectlab.assets.manifest import manifest_directory
from affectlab.config.models import typed
from affectlab.files.logs import configure_logging
from affectlab.summary.convert import convert
from affectlab.summary.settings import Split

configure_logging(snakemake.log[0])
convert(
    manifest_directory(snakemake.input.manifest),
    snakemake.params.layout,
    snakemake.output.records,
    snakemake.output.quarantine,
    split=typed(Split, snakemake.params.split),
    on_bad_record=snakemake.params.on_bad_record,
    similar_names=snakemake.params.similar_names,
)
