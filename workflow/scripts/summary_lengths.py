"""Count the cases in a run's tokens, and what its maximum length cuts off."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.config.models import typed
from affectlab.files.logs import configure_logging
from affectlab.summary.lengths import write_lengths
from affectlab.summary.settings import SummaryRun

configure_logging(snakemake.log[0])
write_lengths(
    records_path=Path(snakemake.input.records),
    model_directory=manifest_directory(snakemake.input.model),
    run=typed(SummaryRun, snakemake.params.recipe),
    lengths_path=Path(snakemake.output.summary),
    figure_stem=Path(snakemake.output.lengths).with_suffix(""),
)
