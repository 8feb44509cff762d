"""Score a run's stored predictions: metrics, run record, results text, figures."""

from pathlib import Path

from affectlab.core.logs import configure_logging
from affectlab.emotion.evaluate import evaluate

configure_logging(snakemake.log[0])
paths = snakemake.input
evaluate(
    predictions_path=paths.predictions,
    records_path=paths.records,
    audit_path=paths.audit,
    training_path=paths.training,
    model_manifest_path=paths.get("model") or None,
    baseline=(*snakemake.params.baseline, paths.baseline) if paths.get("baseline") else None,
    run=snakemake.wildcards.run,
    seed=int(snakemake.wildcards.seed),
    recipe=snakemake.params.recipe,
    bootstrap=snakemake.params.bootstrap,
    threads=snakemake.threads,
    metrics_schema=paths.metrics_schema,
    run_schema=paths.run_schema,
    metrics_path=snakemake.output.metrics,
    run_path=snakemake.output.run,
    text_path=snakemake.output.text,
    figures=Path(snakemake.output.confusion).parent,
)
