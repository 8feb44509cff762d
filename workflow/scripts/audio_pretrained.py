"""Store what an audio classifier from elsewhere predicts, as the predictions of our runs are."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.audio.data import usable_clips
from affectlab.audio.predictions import read_corpus
from affectlab.audio.pretrained import predict
from affectlab.audio.settings import AudioRun
from affectlab.audio.tasks import task_classes
from affectlab.config.models import typed
from affectlab.datasets.description import read_description
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths, recipe = snakemake.input, typed(AudioRun, snakemake.params.recipe)
predict(
    [clip for clip in usable_clips(paths.records, paths.measures) if clip.is_of(recipe.task)],
    read_corpus(paths.records, paths.measures, recipe.task, recipe.unit),
    task_classes(read_description(paths.description).classes, recipe.task),
    recipe,
    raw_directory=manifest_directory(paths.manifest),
    directory=manifest_directory(paths.model),
    hub_ids=snakemake.params.hub_ids,
    key=f"audio.runs.{snakemake.wildcards.run}.pretrained.classes",
    threads=snakemake.threads,
    predictions_path=Path(snakemake.output.predictions),
    record_path=Path(snakemake.output.outside),
)
