"""Obtain a data set: the user's own copy, else the first source that serves it."""

from affectlab.core.fetch import fetch_dataset
from affectlab.core.logs import configure_logging
from affectlab.samples.emotion import write_corpus
from affectlab.samples.entity import write_goemotions, write_spans

configure_logging(snakemake.log[0])
fetch_dataset(
    snakemake.wildcards.data,
    snakemake.params.entry,
    snakemake.output.manifest,
    snakemake.params.data_root,
    generators={
        "emotion": write_corpus,
        "entity_spans": write_spans,
        "goemotions": write_goemotions,
    },
)
