"""Draw top 1 against the number of updates, of every selected run and seed."""

from pathlib import Path

from affectlab.entity.updates import draw, read_course
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
pairs = zip(snakemake.input.metrics, snakemake.input.history, strict=True)
draw(
    Path(snakemake.output.updates).with_suffix(""),
    [read_course(metrics, history) for metrics, history in pairs],
)
