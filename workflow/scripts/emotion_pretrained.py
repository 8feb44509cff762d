"""Store what a text classifier from elsewhere predicts, as the predictions of our runs are."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.config.models import typed
from affectlab.emotion.data import read_data
from affectlab.emotion.pretrained import predict
from affectlab.emotion.settings import EmotionRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
predict(
    read_data(paths.records, paths.description),
    typed(EmotionRun, snakemake.params.recipe),
    manifest_directory(paths.model),
    snakemake.params.hub_ids,
    key=f"emotion.runs.{snakemake.wildcards.run}.pretrained.classes",
    threads=snakemake.threads,
    predictions_path=Path(snakemake.output.predictions),
    record_path=Path(snakemake.output.outside),
)
