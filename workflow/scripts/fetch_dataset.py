"""Obtain a data set: the user's own copy, else the first source that serves it."""

from affectlab.assets.fetch import fetch_dataset
from affectlab.config.dotted import Loaded
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
fetch_dataset(
    snakemake.wildcards.data,
    snakemake.params.entry,
    snakemake.output.manifest,
    snakemake.config["data_root"],
    generators=Loaded(snakemake.params.generators),
)
