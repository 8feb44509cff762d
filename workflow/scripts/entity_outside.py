"""Store predictions that somebody else made, in the form of our own."""

from pathlib import Path

from affectlab.config.models import typed
from affectlab.entity.outside import store
from affectlab.entity.settings import EntityRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
store(
    Path(snakemake.input.records),
    Path(snakemake.input.description),
    typed(EntityRun, snakemake.params.recipe).predictions,
    int(snakemake.wildcards.seed),
    predictions_path=Path(snakemake.output.predictions),
    record_path=Path(snakemake.output.outside),
)
