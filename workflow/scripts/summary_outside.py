"""Store summaries that somebody else wrote, as those of our runs are stored."""

from pathlib import Path

from affectlab.config.models import typed
from affectlab.datasets.description import read_description
from affectlab.files.logs import configure_logging
from affectlab.summary.outside import store
from affectlab.summary.settings import SummaryRun

configure_logging(snakemake.log[0])
recipe = typed(SummaryRun, snakemake.params.recipe)
store(
    Path(snakemake.input.records),
    recipe.fold,
    recipe.predictions,
    int(snakemake.wildcards.seed),
    predictions_path=Path(snakemake.output.predictions),
    details_path=Path(snakemake.output.details),
    record_path=Path(snakemake.output.outside),
    withdrawn=read_description(snakemake.input.description).excluded_items > 0,
)
