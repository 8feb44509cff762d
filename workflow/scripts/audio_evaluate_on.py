"""Score a fitted probe on the recordings of other data, next to its score on its own."""

from pathlib import Path

from affectlab.audio.other_data import evaluate_other
from affectlab.audio.settings import AudioRun, OtherRecordings
from affectlab.config.models import Bootstrap, typed
from affectlab.datasets.description import read_description
from affectlab.evaluation.other_data import OtherTest
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
evaluate_other(
    OtherTest(
        experiment="audio",
        run=snakemake.wildcards.run,
        seed=int(snakemake.wildcards.seed),
        data=snakemake.wildcards.data,
        given=typed(OtherRecordings, snakemake.params.block).classes,
        bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
        answers=Path(paths.predictions),
        copies=Path(paths.copies),
    ),
    typed(AudioRun, snakemake.params.recipe),
    own=(Path(paths.own_records), Path(paths.own_measures), Path(paths.own_predictions)),
    details_path=Path(paths.details),
    model_directory=Path(paths.model),
    other=(Path(paths.records), Path(paths.measures)),
    description=read_description(paths.description),
    task=snakemake.params.task,
    path=Path(snakemake.output.metrics),
    schema=Path(paths.schema),
)
