"""Train a language model's adapters, one process per GPU; goes on from its last checkpoint."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.config.models import typed
from affectlab.files.logs import configure_logging
from affectlab.summary.settings import SummaryRun
from affectlab.summary.train import train
from affectlab.training.launch import call
from affectlab.training.outputs import Outputs

configure_logging(snakemake.log[0])
outputs = Outputs(**{name: Path(path) for name, path in snakemake.output.items()})
call(
    train,
    {
        "records_path": Path(snakemake.input.records),
        "base_model": manifest_directory(snakemake.input.model),
        "run": typed(SummaryRun, snakemake.params.recipe),
        "seed": int(snakemake.wildcards.seed),
        "outputs": outputs,
    },
    gpus=snakemake.resources.get("gpu", 1),
    nodes=snakemake.resources.get("nodes", 1),
    threads=snakemake.threads,
    scratch=outputs.work,
    log_file=snakemake.log[0],
)
