"""Store what a trained model predicts for the texts of other data."""

from pathlib import Path

from affectlab.emotion.data import read_data
from affectlab.emotion.other_data import predict_other
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
predict_other(
    read_data(snakemake.input.records, snakemake.input.description),
    Path(snakemake.input.model),
    Path(snakemake.output.predictions),
    snakemake.threads,
)
