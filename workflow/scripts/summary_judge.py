"""Have a run's summaries judged by a language model behind an endpoint."""

from pathlib import Path

from affectlab.config.models import typed
from affectlab.files.logs import configure_logging
from affectlab.summary.judge import judge_run
from affectlab.summary.settings import Judge

configure_logging(snakemake.log[0])
output = Path(snakemake.output.judge)
judge_run(
    records_path=Path(snakemake.input.records),
    predictions_path=Path(snakemake.input.predictions),
    details_path=Path(snakemake.input.details),
    fold=snakemake.params.fold,
    settings=typed(Judge, snakemake.params.settings),
    level=snakemake.params.level,
    cache=output.parent / "work" / "judge",
    output_path=output,
)
