"""Have a language model classify the held-out spans or texts of a run; nothing is trained."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.config.models import typed
from affectlab.entity.data import read_data
from affectlab.entity.prompt import classify
from affectlab.entity.settings import EntityRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
# A model behind an endpoint has no files here.
manifest = snakemake.input.get("model")
predictions = Path(snakemake.output.predictions)
classify(
    read_data(snakemake.input.records, snakemake.input.description),
    typed(EntityRun, snakemake.params.recipe),
    snakemake.wildcards.run,
    model_directory=manifest_directory(manifest) if manifest else None,
    threads=snakemake.threads,
    work_directory=predictions.parent / "work",
    predictions_path=predictions,
    record_path=Path(snakemake.output.outside),
)
