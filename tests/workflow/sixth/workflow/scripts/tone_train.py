"""Fit a tone model and store its predictions."""

from pathlib import Path

from affectlab.tone.model import train

from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
train(
    records_path=Path(snakemake.input.records),
    smoothing=snakemake.params.smoothing,
    model_directory=Path(snakemake.output.model),
    predictions_path=Path(snakemake.output.predictions),
)
