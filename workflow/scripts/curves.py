"""Draw the training curves of a run."""

from pathlib import Path

from affectlab.evaluation.plots import CURVES, figures_of, training_curves
from affectlab.files.logs import configure_logging
from affectlab.training.history import read_history

configure_logging(snakemake.log[0])
run, seed = snakemake.wildcards.run, snakemake.wildcards.seed
with figures_of(f"{run}, seed {seed}, on {snakemake.params.data}"):
    training_curves(
        Path(snakemake.output.training_curves).with_suffix(""),
        read_history(snakemake.input.history, optional=CURVES),
    )
