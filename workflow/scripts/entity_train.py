"""Train the stages of a run, one process per GPU; goes on from its last checkpoint."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.config.models import typed
from affectlab.entity.settings import EntityRun
from affectlab.entity.train import train
from affectlab.files.logs import configure_logging
from affectlab.training.launch import call
from affectlab.training.outputs import Outputs

configure_logging(snakemake.log[0])
paths = snakemake.input
outputs = Outputs(**{name: Path(path) for name, path in snakemake.output.items()})
call(
    train,
    {
        "records_paths": dict(zip(snakemake.params.data, map(Path, paths.records), strict=True)),
        "description_paths": dict(
            zip(snakemake.params.data, map(Path, paths.descriptions), strict=True)
        ),
        "base_model": manifest_directory(paths.model),
        "start_from": Path(paths.start_from) if paths.get("start_from") else None,
        "run": typed(EntityRun, snakemake.params.recipe),
        "subset_seed": snakemake.params.subset_seed,
        "seed": int(snakemake.wildcards.seed),
        "outputs": outputs,
        "fold": snakemake.params.fold,
    },
    gpus=snakemake.resources.get("gpu", 1),
    nodes=snakemake.resources.get("nodes", 1),
    threads=snakemake.threads,
    scratch=outputs.work,
    log_file=snakemake.log[0],
)
