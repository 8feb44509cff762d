"""Put the answers of all folds of a cross-validation, and their details, into one table each."""

from affectlab.evaluation.predictions import pool
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
pool(snakemake.input.predictions, snakemake.output.predictions)
pool(snakemake.input.details, snakemake.output.details)
