"""Score a trained model on the texts of other data, next to its score on its own."""

from pathlib import Path

from affectlab.config.models import Bootstrap, typed
from affectlab.config.other_data import OtherData
from affectlab.emotion.data import read_data
from affectlab.emotion.other_data import evaluate_other
from affectlab.emotion.settings import EmotionRun
from affectlab.evaluation.other_data import OtherTest
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
evaluate_other(
    OtherTest(
        experiment="emotion",
        run=snakemake.wildcards.run,
        seed=int(snakemake.wildcards.seed),
        data=snakemake.wildcards.data,
        given=typed(OtherData, snakemake.params.block).classes,
        bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
        answers=Path(paths.predictions),
        copies=Path(paths.copies),
    ),
    typed(EmotionRun, snakemake.params.recipe),
    own=(read_data(paths.own_records, paths.own_description), Path(paths.own_predictions)),
    other=read_data(paths.records, paths.description),
    path=Path(snakemake.output.metrics),
    schema=Path(paths.schema),
)
