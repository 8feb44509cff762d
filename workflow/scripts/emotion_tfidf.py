"""Fit the word-count baseline and store what it says of every held-out text."""

from pathlib import Path

from affectlab.emotion.predict import predict_records
from affectlab.emotion.train import train_tfidf
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
records_path = Path(snakemake.input.records)
model_directory = Path(snakemake.output.model)
train_tfidf(
    records_path=records_path,
    run=snakemake.params.recipe,
    seed=int(snakemake.wildcards.seed),
    model_directory=model_directory,
    history_path=Path(snakemake.output.history),
    facts_path=Path(snakemake.output.training),
)
predict_records(
    records_path=records_path,
    model_directory=model_directory,
    predictions_path=Path(snakemake.output.predictions),
    splits=snakemake.params.splits,
    threads=snakemake.threads,
)
