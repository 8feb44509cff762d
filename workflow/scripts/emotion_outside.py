"""Store predictions that somebody else made, as those of our runs are stored."""

from pathlib import Path

from affectlab.config.models import typed
from affectlab.emotion.outside import store
from affectlab.emotion.readers import read_any
from affectlab.emotion.settings import EmotionRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
store(
    read_any(snakemake.input.records, snakemake.input.description),
    typed(EmotionRun, snakemake.params.recipe).predictions,
    int(snakemake.wildcards.seed),
    Path(snakemake.output.predictions),
    Path(snakemake.output.outside),
)
