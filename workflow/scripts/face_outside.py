"""Store predictions that somebody else made, as those of our runs are stored."""

from pathlib import Path

from affectlab.config.models import typed
from affectlab.datasets.description import read_description
from affectlab.face.data import read_faces
from affectlab.face.labels import labels_of
from affectlab.face.outside import store
from affectlab.face.scored_data import ScoredData
from affectlab.face.settings import FaceRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
faces = read_faces(paths.faces, paths.metadata, read_description(paths.description))
store(
    ScoredData(faces, labels_of(faces, paths.get("labels") or None), Path(paths.metadata)),
    typed(FaceRun, snakemake.params.recipe).predictions,
    int(snakemake.wildcards.seed),
    result_split=snakemake.params.result_split,
    predictions_path=Path(snakemake.output.predictions),
    record_path=Path(snakemake.output.outside),
)
