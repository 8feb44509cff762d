"""Obtain a data set: the user's own copy, else the first source that serves it."""

from functools import partial

from affectlab.assets.fetch import fetch_dataset
from affectlab.files.logs import configure_logging
from affectlab.samples import emotion, entity, face, summary
from affectlab.samples.audio import write_corpus as write_voices

configure_logging(snakemake.log[0])
fetch_dataset(
    snakemake.wildcards.data,
    snakemake.params.entry,
    snakemake.output.manifest,
    snakemake.config["data_root"],
    generators={
        "emotion": emotion.write_corpus,
        "entity_spans": entity.write_spans,
        "entity_spans_1800": partial(entity.write_spans, texts=1385),
        "goemotions": entity.write_goemotions,
        "face": face.write_corpus,
        "face_votes": face.write_votes,
        "longemotion": summary.write_longemotion,
        "psyqa": summary.write_psyqa,
        "eatd": write_voices,
    },
)
