"""Summarise the test cases with a run's model; cases that were answered before are kept."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.config.models import typed
from affectlab.files.logs import configure_logging
from affectlab.summary.generate import generate
from affectlab.summary.settings import SummaryRun

configure_logging(snakemake.log[0])
predictions = Path(snakemake.output.predictions)
trained = snakemake.input.get("trained")
generate(
    records_path=Path(snakemake.input.records),
    base_model=manifest_directory(snakemake.input.model),
    adapter=Path(trained) / "adapter" if trained else None,
    run=typed(SummaryRun, snakemake.params.recipe),
    seed=int(snakemake.wildcards.seed),
    threads=snakemake.threads,
    predictions_path=predictions,
    details_path=Path(snakemake.output.details),
    work_directory=predictions.parent / "work",
)
