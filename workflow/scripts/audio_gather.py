"""Bring the shards of a corpus' embeddings together in one file."""

from pathlib import Path

from affectlab.audio.pipeline import gather_shards
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
output = Path(snakemake.output[0])
gather_shards(
    records_path=Path(snakemake.input.records),
    measures_path=Path(snakemake.input.measures),
    shard_paths=snakemake.input.shards,
    cache=output.parent / "cache",
    output_path=output,
)
