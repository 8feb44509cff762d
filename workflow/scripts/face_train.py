"""Train a face network, one process per GPU; goes on from its last checkpoint."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.config.models import typed
from affectlab.datasets.description import read_description
from affectlab.face.settings import FaceRun
from affectlab.face.train import train_network
from affectlab.files.logs import configure_logging
from affectlab.training.launch import call
from affectlab.training.outputs import Outputs

configure_logging(snakemake.log[0])
outputs = Outputs(**{name: Path(path) for name, path in snakemake.output.items()})
base, labels = snakemake.input.get("model"), snakemake.input.get("labels")
call(
    train_network,
    {
        "faces_path": Path(snakemake.input.faces),
        "metadata_path": Path(snakemake.input.metadata),
        "labels_path": Path(labels) if labels else None,
        "description": read_description(snakemake.input.description),
        "fold": snakemake.params.fold,
        "base_model": manifest_directory(base) if base else None,
        "run": typed(FaceRun, snakemake.params.recipe),
        "seed": int(snakemake.wildcards.seed),
        "outputs": outputs,
    },
    gpus=snakemake.resources.get("gpu", 1),
    nodes=snakemake.resources.get("nodes", 1),
    threads=snakemake.threads,
    scratch=outputs.work,
    log_file=snakemake.log[0],
)
