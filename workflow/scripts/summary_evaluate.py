"""Score a run's stored summaries and merge side results: metrics, run record, text, figure."""

from pathlib import Path

from affectlab.config.models import Bootstrap, typed
from affectlab.evaluation.records import ScoredRun
from affectlab.files.logs import configure_logging
from affectlab.summary.evaluate import evaluate
from affectlab.summary.settings import SummaryRun

configure_logging(snakemake.log[0])
paths = snakemake.input
against = paths.get("baseline")
evaluate(
    ScoredRun(
        name=snakemake.wildcards.run,
        seed=int(snakemake.wildcards.seed),
        recipe=typed(SummaryRun, snakemake.params.recipe),
        bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
        threads=snakemake.threads,
        training_path=paths.get("training") or None,
        manifest_path=paths.get("model") or None,
        metrics_path=snakemake.output.metrics,
        metrics_schema=paths.metrics_schema,
        run_path=snakemake.output.run,
        run_schema=paths.run_schema,
    ),
    records_path=paths.records,
    predictions_path=paths.predictions,
    details_path=paths.details,
    outside_path=paths.get("outside") or None,
    subgroups_path=paths.get("subgroups") or None,
    baseline=(*snakemake.params.baseline, *against) if against else None,
    judge_path=paths.get("judge") or None,
    neural_path=paths.get("neural") or None,
    model_languages=snakemake.params.model_languages,
    text_path=snakemake.output.text,
    figures=Path(snakemake.output.fields).parent,
)
