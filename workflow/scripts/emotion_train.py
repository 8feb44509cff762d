"""Fine-tune a pretrained network, one process per GPU; goes on from its last checkpoint."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.config.models import typed
from affectlab.emotion.settings import EmotionRun
from affectlab.emotion.train import train_network
from affectlab.files.logs import configure_logging
from affectlab.training.launch import call
from affectlab.training.outputs import Outputs

configure_logging(snakemake.log[0])
outputs = Outputs(**{name: Path(path) for name, path in snakemake.output.items()})
call(
    train_network,
    {
        "records_path": Path(snakemake.input.records),
        "description_path": Path(snakemake.input.description),
        "base_model": manifest_directory(snakemake.input.model),
        "run": typed(EmotionRun, snakemake.params.recipe),
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
