"""Score a run's stored predictions: metrics, run record, figures."""

from pathlib import Path

from affectlab.config.models import Bootstrap, typed
from affectlab.evaluation.records import ScoredRun
from affectlab.face.evaluate import evaluate
from affectlab.face.settings import FaceRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
evaluate(
    ScoredRun(
        name=snakemake.wildcards.run,
        seed=int(snakemake.wildcards.seed),
        recipe=typed(FaceRun, snakemake.params.recipe),
        bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
        threads=snakemake.threads,
        training_path=paths.training,
        manifest_path=paths.get("model") or None,
        metrics_path=snakemake.output.metrics,
        metrics_schema=paths.metrics_schema,
        run_path=snakemake.output.run,
        run_schema=paths.run_schema,
    ),
    predictions_path=Path(paths.predictions),
    faces_path=Path(paths.faces),
    metadata_path=Path(paths.metadata),
    labels_path=Path(paths.labels),
    audit_path=Path(paths.audit),
    blur_path=Path(paths.blur),
    result_split=snakemake.params.result_split,
    figures=Path(snakemake.output.confusion_matrix).parent,
)
