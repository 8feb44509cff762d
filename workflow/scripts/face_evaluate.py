"""Score a run's stored predictions: metrics, run record, figures."""

from pathlib import Path

from affectlab.core.logs import configure_logging
from affectlab.face.evaluate import evaluate

configure_logging(snakemake.log[0])
paths = snakemake.input
manifest = paths.get("model")
evaluate(
    predictions_path=Path(paths.predictions),
    faces_path=Path(paths.faces),
    metadata_path=Path(paths.metadata),
    labels_path=Path(paths.labels),
    audit_path=Path(paths.audit),
    training_path=Path(paths.training),
    blur_path=Path(paths.blur),
    model_manifest_path=Path(manifest) if manifest else None,
    run=snakemake.wildcards.run,
    seed=int(snakemake.wildcards.seed),
    recipe=snakemake.params.recipe,
    result_split=snakemake.params.result_split,
    bootstrap=snakemake.params.bootstrap,
    threads=snakemake.threads,
    metrics_schema=Path(paths.metrics_schema),
    run_schema=Path(paths.run_schema),
    metrics_path=Path(snakemake.output.metrics),
    run_path=Path(snakemake.output.run),
    figures=Path(snakemake.output.confusion).parent,
)
