"""Score a fitted probe on the recordings of other data, next to its score on its own."""

from pathlib import Path

from affectlab.audio.other_data import evaluate_other
from affectlab.audio.settings import AudioRun, OtherRecordings
from affectlab.config.models import Bootstrap, typed
from affectlab.datasets.description import read_description
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
evaluate_other(
    (snakemake.wildcards.run, int(snakemake.wildcards.seed), snakemake.wildcards.data),
    typed(AudioRun, snakemake.params.recipe),
    typed(OtherRecordings, snakemake.params.block),
    typed(Bootstrap, snakemake.params.bootstrap),
    own=(Path(paths.own_records), Path(paths.own_measures), Path(paths.own_predictions)),
    details_path=Path(paths.details),
    model_directory=Path(paths.model),
    other=(Path(paths.records), Path(paths.measures), Path(paths.predictions)),
    description=read_description(paths.description),
    task=snakemake.params.task,
    copies_path=Path(paths.copies),
    path=Path(snakemake.output.metrics),
    schema=Path(paths.schema),
)
