"""Fine-tune a pretrained network; goes on from its last checkpoint if there is one."""

from pathlib import Path

from affectlab.core.fetch import manifest_directory
from affectlab.core.logs import configure_logging
from affectlab.emotion.train import train_network

configure_logging(snakemake.log[0])
model_directory = Path(snakemake.output.model)
train_network(
    records_path=Path(snakemake.input.records),
    base_model=manifest_directory(snakemake.input.model),
    run=snakemake.params.recipe,
    seed=int(snakemake.wildcards.seed),
    threads=snakemake.threads,
    model_directory=model_directory,
    history_path=Path(snakemake.output.history),
    facts_path=Path(snakemake.output.training),
    work_directory=model_directory.parent / "work",
)
