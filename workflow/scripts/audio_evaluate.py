"""Score a run's stored predictions: metrics, run record, results text, figures."""

from pathlib import Path

from affectlab.audio.evaluate import evaluate
from affectlab.audio.settings import AudioRun
from affectlab.config.models import Bootstrap, typed
from affectlab.datasets.description import read_description
from affectlab.evaluation.records import ScoredRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
details, outside, model = (paths.get(name) for name in ("details", "outside", "model"))
subgroups = paths.get("subgroups")
evaluate(
    ScoredRun(
        name=snakemake.wildcards.run,
        seed=int(snakemake.wildcards.seed),
        recipe=typed(AudioRun, snakemake.params.recipe),
        bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
        threads=snakemake.threads,
        training_path=paths.get("training") or None,
        manifest_path=paths.get("encoder") or None,
        metrics_path=snakemake.output.metrics,
        metrics_schema=paths.metrics_schema,
        run_path=snakemake.output.run,
        run_schema=paths.run_schema,
    ),
    predictions_path=Path(paths.predictions),
    details_path=Path(details) if details else None,
    records_path=Path(paths.records),
    measures_path=Path(paths.measures),
    model_directory=Path(model) if model else None,
    text_path=Path(snakemake.output.text),
    figures=Path(snakemake.output.schemes).parent,
    outside=(Path(outside), read_description(paths.description)) if outside else None,
    subgroups_path=Path(subgroups) if subgroups else None,
)
