"""Score a trained network on the images of other data, next to its score on its own."""

from pathlib import Path

from affectlab.config.models import Bootstrap, typed
from affectlab.config.other_data import OtherData
from affectlab.datasets.description import read_description
from affectlab.evaluation.other_data import OtherTest
from affectlab.face.data import read_faces
from affectlab.face.other_data import evaluate_other
from affectlab.face.scored_data import ScoredData
from affectlab.face.settings import FaceRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
own = read_faces(paths.own_faces, paths.own_metadata, read_description(paths.own_description))
evaluate_other(
    OtherTest(
        experiment="face",
        run=snakemake.wildcards.run,
        seed=int(snakemake.wildcards.seed),
        data=snakemake.wildcards.data,
        given=typed(OtherData, snakemake.params.block).classes,
        bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
        answers=Path(paths.predictions),
        copies=Path(paths.copies),
    ),
    typed(FaceRun, snakemake.params.recipe),
    own=(ScoredData(own, {}, Path(paths.own_metadata)), Path(paths.own_predictions)),
    other=read_faces(paths.faces, paths.metadata, read_description(paths.description)),
    result_split=snakemake.params.result_split,
    path=Path(snakemake.output.metrics),
    schema=Path(paths.schema),
)
