"""Store what an image classifier from elsewhere predicts, as the predictions of our runs are."""

from pathlib import Path

from affectlab.assets.manifest import manifest_directory
from affectlab.config.models import typed
from affectlab.datasets.description import read_description
from affectlab.face.data import read_faces
from affectlab.face.labels import labels_of
from affectlab.face.pretrained import predict
from affectlab.face.scored_data import ScoredData
from affectlab.face.settings import FaceRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
faces = read_faces(paths.faces, paths.metadata, read_description(paths.description))
predict(
    ScoredData(faces, labels_of(faces, paths.get("labels") or None), Path(paths.metadata)),
    typed(FaceRun, snakemake.params.recipe),
    manifest_directory(paths.model),
    snakemake.params.hub_ids,
    key=f"face.runs.{snakemake.wildcards.run}.pretrained.classes",
    result_split=snakemake.params.result_split,
    threads=snakemake.threads,
    predictions_path=Path(snakemake.output.predictions),
    record_path=Path(snakemake.output.outside),
)
