"""Ask a language model behind an endpoint for the classes of the test items of a run."""

from pathlib import Path

from affectlab.config.models import typed
from affectlab.entity.data import read_data
from affectlab.entity.prompt import classify
from affectlab.entity.settings import EntityRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
predictions = Path(snakemake.output.predictions)
classify(
    read_data(snakemake.input.records, snakemake.input.description),
    typed(EntityRun, snakemake.params.recipe),
    snakemake.wildcards.run,
    model_directory=None,
    threads=snakemake.threads,
    work_directory=predictions.parent / "work",
    predictions_path=predictions,
    record_path=Path(snakemake.output.outside),
)
