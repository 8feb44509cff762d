"""Score a run's summaries by further models: BERTScore, support by inference."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.files.logs import configure_logging
from affectlab.summary.neural import score_run

configure_logging(snakemake.log[0])
bertscore, nli = snakemake.input.get("bertscore"), snakemake.input.get("nli")
score_run(
    records_path=Path(snakemake.input.records),
    predictions_path=Path(snakemake.input.predictions),
    details_path=Path(snakemake.input.details),
    fold=snakemake.params.fold,
    bertscore_model=manifest_directory(bertscore) if bertscore else None,
    nli_model=manifest_directory(nli) if nli else None,
    level=snakemake.params.level,
    threads=snakemake.threads,
    output_path=Path(snakemake.output.neural),
)
