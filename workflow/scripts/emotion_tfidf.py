"""Fit the word-count baseline and store what it says of every held-out text."""

from pathlib import Path

from affectlab.config.models import typed
from affectlab.emotion.predict_records import predict_records
from affectlab.emotion.readers import read_any
from affectlab.emotion.settings import EmotionRun
from affectlab.emotion.train_tfidf import cross_validate, train_tfidf
from affectlab.files.logs import configure_logging
from affectlab.training.outputs import Outputs

configure_logging(snakemake.log[0])
data = read_any(snakemake.input.records, snakemake.input.description)
run = typed(EmotionRun, snakemake.params.recipe)
seed = int(snakemake.wildcards.seed)
files = snakemake.output
outputs = Outputs(Path(files.model), Path(files.history), Path(files.training))
train_tfidf(data=data, run=run, seed=seed, outputs=outputs)
if data.description.folds is None:
    predict_records(
        data=data,
        model_directory=outputs.model,
        predictions_path=Path(files.predictions),
        splits=snakemake.params.splits,
        threads=snakemake.threads,
    )
else:
    cross_validate(data, run, seed, Path(files.predictions), snakemake.params.splits)
