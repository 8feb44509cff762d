"""Train a language model's adapters, one process per GPU; goes on from its last checkpoint."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.files.logs import configure_logging
from affectlab.summary.train import train
from affectlab.training.launch import call

configure_logging(snakemake.log[0])
model_directory = Path(snakemake.output.model)
work_directory = model_directory.parent / "work"
call(
    train,
    {
        "records_path": Path(snakemake.input.records),
        "base_model": manifest_directory(snakemake.input.model),
        "run": snakemake.params.recipe,
        "seed": int(snakemake.wildcards.seed),
        "model_directory": model_directory,
        "history_path": Path(snakemake.output.history),
        "facts_path": Path(snakemake.output.training),
        "work_directory": work_directory,
    },
    gpus=snakemake.resources.get("gpu", 1),
    nodes=snakemake.resources.get("nodes", 1),
    threads=snakemake.threads,
    scratch=work_directory,
    log_file=snakemake.log[0],
)
