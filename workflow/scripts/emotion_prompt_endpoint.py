"""Ask a language model behind an endpoint for the classes of the test texts of a run."""

from pathlib import Path

from affectlab.config.models import typed
from affectlab.emotion.data import read_data
from affectlab.emotion.prompt import classify
from affectlab.emotion.settings import EmotionRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
predictions = Path(snakemake.output.predictions)
classify(
    read_data(snakemake.input.records, snakemake.input.description),
    typed(EmotionRun, snakemake.params.recipe),
    snakemake.wildcards.run,
    model_directory=None,
    threads=snakemake.threads,
    work_directory=predictions.parent / "work",
    predictions_path=predictions,
    record_path=Path(snakemake.output.outside),
)
