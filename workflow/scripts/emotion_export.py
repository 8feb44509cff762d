"""Export a run's network to ONNX and int8, and measure what that costs and gains."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.emotion.export import export
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
export(
    model_directory=Path(snakemake.input.model),
    base_model=manifest_directory(snakemake.input.base),
    records_path=Path(snakemake.input.records),
    description_path=Path(snakemake.input.description),
    max_length=snakemake.params.max_length,
    threads=snakemake.threads,
    onnx_path=Path(snakemake.output.onnx),
    int8_path=Path(snakemake.output.int8),
    summary_path=Path(snakemake.output.summary),
)
