"""Fit a probe by its protocol; store every prediction, what was chosen, and the probe."""

from pathlib import Path

from affectlab.audio.experiment import run_probe
from affectlab.audio.settings import AudioRun
from affectlab.config.models import typed
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
run_probe(
    records_path=Path(snakemake.input.records),
    measures_path=Path(snakemake.input.measures),
    description_path=Path(snakemake.input.description),
    embeddings_path=Path(snakemake.input.embeddings),
    recipe=typed(AudioRun, snakemake.params.recipe),
    seed=int(snakemake.wildcards.seed),
    threads=snakemake.threads,
    predictions_path=Path(snakemake.output.predictions),
    details_path=Path(snakemake.output.details),
    training_path=Path(snakemake.output.training),
    model_directory=Path(snakemake.output.model),
)
