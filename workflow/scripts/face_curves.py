"""Draw the training curves of a run."""

from pathlib import Path

from affectlab.core.history import read_history
from affectlab.core.logs import configure_logging
from affectlab.core.plots import training_curves

configure_logging(snakemake.log[0])
training_curves(Path(snakemake.output.svg).with_suffix(""), read_history(snakemake.input.history))
