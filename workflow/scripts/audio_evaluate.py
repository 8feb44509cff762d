"""Score a run's stored predictions: metrics, run record, results text, figures."""

from pathlib import Path

from affectlab.audio.evaluate import evaluate
from affectlab.core.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
evaluate(
    predictions_path=Path(paths.predictions),
    details_path=Path(paths.details),
    facts_path=Path(paths.facts),
    records_path=Path(paths.records),
    model_directory=Path(paths.model),
    encoder_manifest_path=Path(paths.encoder) if paths.get("encoder") else None,
    run=snakemake.wildcards.run,
    seed=int(snakemake.wildcards.seed),
    recipe=snakemake.params.recipe,
    bootstrap=snakemake.params.bootstrap,
    threads=snakemake.threads,
    metrics_schema=Path(paths.metrics_schema),
    run_schema=Path(paths.run_schema),
    metrics_path=Path(snakemake.output.metrics),
    run_path=Path(snakemake.output.run),
    text_path=Path(snakemake.output.text),
    figures=Path(snakemake.output.confusion).parent,
)
