"""Draw the training curves of a run."""

from pathlib import Path

from affectlab.evaluation.plots import CURVES, training_curves
from affectlab.files.logs import configure_logging
from affectlab.training.history import read_history

configure_logging(snakemake.log[0])
training_curves(
    Path(snakemake.output.training_curves).with_suffix(""),
    read_history(snakemake.input.history, optional=CURVES),
)
