"""Score the stored predictions of a tone run."""

from affectlab.tone.evaluate import evaluate
from affectlab.tone.settings import ToneRun

from affectlab.config.models import Bootstrap, typed
from affectlab.evaluation.records import ScoredRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
evaluate(
    ScoredRun(
        name=snakemake.wildcards.run,
        seed=int(snakemake.wildcards.seed),
        recipe=typed(ToneRun, snakemake.params.recipe),
        bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
        threads=snakemake.threads,
        training_path=None,
        manifest_path=None,
        metrics_path=snakemake.output.metrics,
        metrics_schema=snakemake.input.metrics_schema,
        run_path=snakemake.output.run,
        run_schema=snakemake.input.run_schema,
    ),
    predictions_path=snakemake.input.predictions,
    records_path=snakemake.input.records,
)
