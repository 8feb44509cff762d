"""Obtain a data set: the user's own copy, else the first source that serves it."""

from affectlab.core.fetch import fetch_dataset
from affectlab.core.logs import configure_logging
from affectlab.samples.emotion import write_corpus
from affectlab.samples.entity import write_goemotions, write_spans
from affectlab.samples.summary import write_longemotion, write_psyqa

configure_logging(snakemake.log[0])
fetch_dataset(
    snakemake.wildcards.data,
    snakemake.params.entry,
    snakemake.output.manifest,
    snakemake.params.data_root,
    generators={
        "emotion": write_corpus,
        "longemotion": write_longemotion,
        "psyqa": write_psyqa,
        "entity_spans": write_spans,
        "goemotions": write_goemotions,
    },
)
