"""Put the predictions of all folds of a cross-validation into one table."""

from affectlab.evaluation.predictions import pool
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
pool(snakemake.input.predictions, snakemake.output.predictions)
