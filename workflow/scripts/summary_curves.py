"""Draw the training curves of a run."""

from pathlib import Path

from affectlab.evaluation.plots import training_curves
from affectlab.files.logs import configure_logging
from affectlab.training.history import read_history

COLUMNS = ("step", "epoch", "split", "loss", "learning_rate")
SCORES = ("rouge_l", "valid_output")

configure_logging(snakemake.log[0])
training_curves(
    Path(snakemake.output.svg).with_suffix(""),
    read_history(snakemake.input.history, COLUMNS, optional=SCORES),
)
