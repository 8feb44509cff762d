"""Search a data set's training labels for mistakes by confident learning."""

from affectlab.core.logs import configure_logging
from affectlab.emotion.noise import write_label_noise

configure_logging(snakemake.log[0])
write_label_noise(
    snakemake.input.records,
    snakemake.output.summary,
    snakemake.output.table,
    folds=snakemake.params.folds,
    seed=snakemake.params.seed,
)
