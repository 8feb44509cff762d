"""Search a data set's training labels for mistakes by confident learning."""

from affectlab.emotion.noise import write_label_noise
from affectlab.emotion.readers import read_any
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
write_label_noise(
    read_any(snakemake.input.records, snakemake.input.description),
    snakemake.output.summary,
    snakemake.output.table,
    folds=snakemake.params.folds,
    seed=snakemake.params.seed,
)
