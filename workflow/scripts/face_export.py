"""Export a run's network to ONNX and int8, and measure what that costs and gains."""

from pathlib import Path

from affectlab.datasets.description import read_description
from affectlab.face.export import export
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
export(
    model_directory=Path(snakemake.input.model),
    faces_path=Path(snakemake.input.faces),
    metadata_path=Path(snakemake.input.metadata),
    description=read_description(snakemake.input.description),
    split=snakemake.params.split,
    threads=snakemake.threads,
    onnx_path=Path(snakemake.output.onnx),
    int8_path=Path(snakemake.output.int8),
    summary_path=Path(snakemake.output.summary),
)
