"""Store predictions that somebody else made, as those of our runs are stored."""

from pathlib import Path

from affectlab.audio.evaluate import main_scheme
from affectlab.audio.outside import store
from affectlab.audio.predictions import read_corpus
from affectlab.audio.settings import AudioRun
from affectlab.config.models import typed
from affectlab.datasets.description import read_description
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths, recipe = snakemake.input, typed(AudioRun, snakemake.params.recipe)
store(
    read_corpus(paths.records, paths.measures, recipe.task, recipe.unit),
    read_description(paths.description),
    recipe.task,
    recipe.predictions,
    int(snakemake.wildcards.seed),
    main=main_scheme(recipe),
    predictions_path=Path(snakemake.output.predictions),
    record_path=Path(snakemake.output.outside),
)
