"""Score a trained network on the images of other data, next to its score on its own."""

from pathlib import Path

from affectlab.config.models import Bootstrap, typed
from affectlab.config.other_data import OtherData
from affectlab.datasets.description import read_description
from affectlab.face.data import read_faces
from affectlab.face.other_data import evaluate_other
from affectlab.face.scored_data import ScoredData
from affectlab.face.settings import FaceRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
own = read_faces(paths.own_faces, paths.own_metadata, read_description(paths.own_description))
other = read_faces(paths.faces, paths.metadata, read_description(paths.description))
evaluate_other(
    (snakemake.wildcards.run, int(snakemake.wildcards.seed), snakemake.wildcards.data),
    typed(FaceRun, snakemake.params.recipe),
    typed(OtherData, snakemake.params.block),
    typed(Bootstrap, snakemake.params.bootstrap),
    own=(ScoredData(own, {}, Path(paths.own_metadata)), Path(paths.own_predictions)),
    other=(other, Path(paths.predictions)),
    result_split=snakemake.params.result_split,
    copies_path=Path(paths.copies),
    path=Path(snakemake.output.metrics),
    schema=Path(paths.schema),
)
