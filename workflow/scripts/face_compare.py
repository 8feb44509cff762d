"""Hold all runs against each other, and bring the seeds of each together."""

from pathlib import Path

from affectlab.config.models import Bootstrap, typed
from affectlab.face.evaluate import compare
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
kinds = (paths.faces, paths.metadata, paths.labels)
files = zip(*(map(Path, names) for names in kinds), strict=True)
compare(
    metrics_paths=[Path(path) for path in paths.metrics],
    predictions_paths=[Path(path) for path in paths.predictions],
    data_paths=dict(zip(snakemake.params.data, files, strict=True)),
    result_split=snakemake.params.result_split,
    bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
    schema=Path(paths.schema),
    output_path=Path(snakemake.output.comparison),
)
