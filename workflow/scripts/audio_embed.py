"""Embed one shard of a corpus with a frozen encoder; only clips that are not in its cache yet."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.audio.pipeline import embed_shard
from affectlab.audio.settings import Encoder
from affectlab.config.models import typed
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
output = Path(snakemake.output[0])
embed_shard(
    records_path=Path(snakemake.input.records),
    measures_path=Path(snakemake.input.measures),
    raw_directory=manifest_directory(snakemake.input.manifest),
    model_manifest_path=Path(snakemake.input.model) if snakemake.input.get("model") else None,
    name=snakemake.wildcards.encoder,
    spec=typed(Encoder, snakemake.params.spec),
    number=int(snakemake.wildcards.shard),
    of=snakemake.params.shards,
    threads=snakemake.threads,
    cache=output.parent / "cache",
    output_path=output,
)
