"""Fit the word-count baseline and store what it says of every held-out text."""

from pathlib import Path

from affectlab.config.models import typed
from affectlab.emotion.predict import predict_records
from affectlab.emotion.settings import EmotionRun
from affectlab.emotion.train import train_tfidf
from affectlab.files.logs import configure_logging
from affectlab.training.outputs import Outputs

configure_logging(snakemake.log[0])
records_path = Path(snakemake.input.records)
files = snakemake.output
outputs = Outputs(Path(files.model), Path(files.history), Path(files.training))
train_tfidf(
    records_path=records_path,
    run=typed(EmotionRun, snakemake.params.recipe),
    seed=int(snakemake.wildcards.seed),
    outputs=outputs,
)
predict_records(
    records_path=records_path,
    model_directory=outputs.model,
    predictions_path=Path(snakemake.output.predictions),
    splits=snakemake.params.splits,
    threads=snakemake.threads,
)
