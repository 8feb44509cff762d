"""Train the stages of a run, one process per GPU; goes on from its last checkpoint."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.entity.train import train
from affectlab.files.logs import configure_logging
from affectlab.training.launch import call

configure_logging(snakemake.log[0])
paths = snakemake.input
model_directory = Path(snakemake.output.model)
work_directory = model_directory.parent / "work"
call(
    train,
    {
        "records_paths": dict(zip(snakemake.params.data, map(Path, paths.records), strict=True)),
        "base_model": manifest_directory(paths.model),
        "start_from": Path(paths.start_from) if paths.get("start_from") else None,
        "run": snakemake.params.recipe,
        "subset_seed": snakemake.params.subset_seed,
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
