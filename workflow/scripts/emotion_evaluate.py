"""Score a run's stored predictions: metrics, run record, results text, figures."""

from pathlib import Path

from affectlab.config.models import Bootstrap, typed
from affectlab.emotion.evaluate import evaluate
from affectlab.emotion.readers import read_any
from affectlab.emotion.settings import EmotionRun
from affectlab.evaluation.records import ScoredRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
evaluate(
    ScoredRun(
        name=snakemake.wildcards.run,
        seed=int(snakemake.wildcards.seed),
        recipe=typed(EmotionRun, snakemake.params.recipe),
        bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
        threads=snakemake.threads,
        training_path=paths.get("training") or None,
        manifest_path=paths.get("model") or None,
        metrics_path=snakemake.output.metrics,
        metrics_schema=paths.metrics_schema,
        run_path=snakemake.output.run,
        run_schema=paths.run_schema,
    ),
    predictions_path=paths.predictions,
    data=read_any(paths.records, paths.description),
    data_paths=(paths.records,),
    audit_path=paths.audit,
    outside_path=paths.get("outside") or None,
    subgroups_path=paths.get("subgroups") or None,
    baseline=(*snakemake.params.baseline, paths.baseline) if paths.get("baseline") else None,
    text_path=snakemake.output.text,
    figures=Path(snakemake.output.text).parent / "figures",
)
