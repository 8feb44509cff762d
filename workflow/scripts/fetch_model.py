"""Obtain a pretrained model: the user's own copy, else the first source that serves it."""

from affectlab.assets.fetch import fetch_model
from affectlab.config.dotted import Loaded
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
fetch_model(
    snakemake.wildcards.model,
    snakemake.params.entry,
    snakemake.output.manifest,
    snakemake.config["model_root"],
    generators=Loaded(snakemake.params.generators),
)
