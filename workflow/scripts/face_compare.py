"""Hold all runs against each other, and bring the seeds of each together."""

from pathlib import Path

from affectlab.config.models import Bootstrap, typed
from affectlab.datasets.description import read_description
from affectlab.face.data import read_faces
from affectlab.face.evaluate import compare
from affectlab.face.labels import labels_of
from affectlab.face.scored_data import ScoredData
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
labels = {Path(path).parent.name: path for path in paths.get("labels", [])}
kinds = (snakemake.params.data, paths.faces, paths.metadata, paths.descriptions)
data = {}
for name, images, metadata, description in zip(*kinds, strict=True):
    faces = read_faces(images, metadata, read_description(description))
    data[name] = ScoredData(faces, labels_of(faces, labels.get(name)), Path(metadata))
compare(
    metrics_paths=[Path(path) for path in paths.metrics],
    predictions_paths=[Path(path) for path in paths.predictions],
    data=data,
    result_split=snakemake.params.result_split,
    bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
    schema=Path(paths.schema),
    output_path=Path(snakemake.output.comparison),
)
