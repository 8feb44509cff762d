"""Show a trained network the same faces with worse pictures."""

from pathlib import Path

from affectlab.config.models import typed
from affectlab.face.blur import write_blur_test
from affectlab.face.settings import BlurTest, Labels
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
write_blur_test(
    faces_path=Path(snakemake.input.faces),
    metadata_path=Path(snakemake.input.metadata),
    model_directory=Path(snakemake.input.model),
    result_path=Path(snakemake.output.result),
    figure=Path(snakemake.output.blur_test).with_suffix(""),
    split=snakemake.params.split,
    labels=typed(Labels, snakemake.params.labels),
    settings=typed(BlurTest, snakemake.params.blur_test),
    threads=snakemake.threads,
)
