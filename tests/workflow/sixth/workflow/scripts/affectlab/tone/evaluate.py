"""Score stored predictions of the tone experiment: single runs, and their comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from affectlab.tone.data import CLASSES, SPLITS, read_records
from affectlab.tone.settings import ToneRun

from affectlab.config.models import Bootstrap
from affectlab.datasets.texts import text_conditions
from affectlab.evaluation.classification import (
    COMPARED,
    Corpus,
    read_predictions,
    read_runs,
    scored_record,
)
from affectlab.evaluation.comparison import comparison_record
from affectlab.evaluation.records import ScoredRun, write_record

TASK_VERSION = 1


def read_corpus(records_path: Path | str) -> Corpus:
    """Read labels and groups of the records; equal texts are one group."""
    records = read_records(records_path)
    texts = {text: number for number, text in enumerate({one.text for one in records})}
    return Corpus.of(
        CLASSES,
        {
            split: {one.id: CLASSES.index(one.label) for one in records if one.split == split}
            for split in SPLITS
        },
        {one.id: texts[one.text] for one in records},
        {
            split: text_conditions([one.text for one in records if one.split == split])
            for split in SPLITS
        },
    )


def evaluate(
    run: ScoredRun[ToneRun], *, predictions_path: Path | str, records_path: Path | str
) -> None:
    """Score one run: metrics.json and run.json."""
    corpus = read_corpus(records_path)
    predictions = read_predictions(predictions_path, corpus)
    scored = scored_record(predictions, corpus, set(), None, run.bootstrap)
    scored.pop("comparison")
    header = run.header(
        "tone",
        TASK_VERSION,
        method="bayes",
        model="bayes",
        data={
            "split": "test",
            "n": scored.pop("n"),
            "groups": scored.pop("groups"),
            "classes": list(CLASSES),
        },
        data_paths=(records_path,),
    )
    run.write({**header, "details": {}, "comparisons": [], **scored})


def compare(
    *,
    metrics_paths: Sequence[Path | str],
    predictions_paths: Sequence[Path | str],
    records_paths: Mapping[str, Path | str],
    bootstrap: Bootstrap,
    schema: Path | str,
    output_path: Path | str,
) -> None:
    """Compare all runs: comparison.json."""
    corpora = {name: read_corpus(path) for name, path in records_paths.items()}
    runs = read_runs(metrics_paths, predictions_paths, corpora, bootstrap, seedless=("bayes",))
    record = comparison_record(
        "tone", runs, baseline=None, headline=COMPARED, compared=COMPARED, bootstrap=bootstrap
    )
    write_record(output_path, record, schema)
