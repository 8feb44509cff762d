"""The errors of a run that it was surest of, and where two runs disagree."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from affectlab.evaluation.predictions import prediction_lines
from affectlab.files.io import read_jsonl
from affectlab.report.confusion import SCORED
from affectlab.report.results import SeedResult, is_elsewhere, split_means
from affectlab.report.section import render

HERE = Path(__file__).parent

SHOWN = 20
"""Items of a table; it counts the others."""

NO_ANSWER = "no class"
"""Of a language model that named no class; such an answer counts as wrong."""

ReadTexts = Callable[[Collection[str]], Mapping[str, str]]
"""Ids of items -> their texts."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The class that a run predicts for an item.

    Attributes:
        id: of the item.
        true: its class.
        predicted: the class that the run predicts.
        confidence: the probability that the run states for that; None if it states none.
    """

    id: str
    true: str
    predicted: str
    confidence: float | None

    @property
    def wrong(self) -> bool:
        """Whether it is not the class of the item."""
        return self.true != self.predicted


@dataclass(frozen=True, slots=True)
class RunPredictions:
    """The predictions of one seed of a run, of the scored items."""

    run: str
    seed: int
    data: str
    predictions: Iterable[Prediction]


@dataclass(frozen=True, slots=True)
class Row:
    """An item of a table: its text if it may be shown, and what each run predicts."""

    id: str
    text: str
    true: str
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, slots=True)
class ErrorTable:
    """Items with the largest confidence first.

    Attributes:
        title: of what.
        runs: whose predictions the rows have.
        rows: at most `SHOWN`.
        count: of all items that belong into the table.
    """

    title: str
    runs: Sequence[str]
    rows: Sequence[Row]
    count: int


def error_tables(
    shown: RunPredictions, other: RunPredictions | None, read_texts: ReadTexts | None
) -> list[ErrorTable]:
    """The surest errors of a run, and the items where it and another one differ.

    In memory are the predictions of the *shown* run, one small object for each scored item.

    Args:
        shown: the run that the section is about.
        other: a run on the same items; None if there is none.
        read_texts: of generated data; None where texts must not be shown.
    """
    known = {one.id: one for one in shown.predictions}
    wrong = [(one,) for one in known.values() if one.wrong]
    title = f"Errors of {shown.run}, seed {shown.seed}, on {shown.data}, the surest first"
    tables = [_table(title, [shown], wrong, read_texts)]
    if other is not None:
        differing = [
            (known[one.id], one)
            for one in other.predictions
            if one.id in known and one.predicted != known[one.id].predicted
        ]
        title = (
            f"Where {shown.run}, seed {shown.seed}, and {other.run}, seed {other.seed}, disagree"
            f" on {shown.data}, the surest first"
        )
        tables.append(_table(title, [shown, other], differing, read_texts))
    return tables


def errors_part(
    experiment: str,
    shown: RunPredictions,
    other: RunPredictions | None,
    read_texts: ReadTexts | None,
) -> dict[str, str]:
    """The part of a section with the tables of `error_tables`."""
    tables = error_tables(shown, other, read_texts)
    html = render(HERE / "errors.html.j2", experiment=experiment, tables=tables)
    return {"errors": html}


def rival(best: str, runs: Mapping[str, Sequence[SeedResult]], score: str) -> str | None:
    """The run that the *best* one is compared with: the next best on validation.

    Choosing by test would favour luck. Where no run has a score on validation it is the first one.

    Args:
        best: name of the run that is shown.
        runs: name -> what each seed left.
        score: that validation chooses by; higher is better.
    """
    own = runs[best][0].metrics["data"]
    same = ("name", "split", "classes")
    others = {
        name: split_means(seeds)
        for name, seeds in runs.items()
        if name != best and all(seeds[0].metrics["data"].get(key) == own[key] for key in same)
    }
    chosen = {
        name: means["validation"][score]
        for name, means in others.items()
        if score in means.get("validation", {}) and not is_elsewhere(runs[name])
    }
    return max(chosen, key=chosen.__getitem__) if chosen else next(iter(others), None)


def stored_predictions(seeds: Sequence[SeedResult]) -> RunPredictions:
    """The predictions.jsonl of the first seed, with a label, a class and probabilities by class."""
    record = seeds[0].metrics
    path, split = seeds[0].folder / "predictions.jsonl", SCORED[record["data"]["split"]]

    def predictions() -> Iterator[Prediction]:
        for line in prediction_lines(path):
            if line.text("split") != split:
                continue
            predicted, stated = line.text("prediction"), line.values.get("probabilities")
            yield Prediction(
                id=line.text("id"),
                true=line.text("label"),
                predicted=NO_ANSWER if line.values.get("invalid") else predicted,
                confidence=None if stated is None else float(stated[predicted]),
            )

    return RunPredictions(record["run"], record["seed"], record["data"]["name"], predictions())


def texts_of(records: Path) -> ReadTexts:
    """What reads texts by id from a table with ``id`` and ``text`` in each line."""

    def read(ids: Collection[str]) -> dict[str, str]:
        wanted = set(ids)
        return {row["id"]: row["text"] for row in read_jsonl(records) if row["id"] in wanted}

    return read


def _table(
    title: str,
    runs: Sequence[RunPredictions],
    items: Sequence[tuple[Prediction, ...]],
    read_texts: ReadTexts | None,
) -> ErrorTable:
    surest = heapq.nlargest(SHOWN, items, key=_sureness)
    texts = {} if read_texts is None else read_texts([item[0].id for item in surest])
    return ErrorTable(
        title=title,
        runs=[run.run for run in runs],
        rows=[Row(one[0].id, texts.get(one[0].id, ""), one[0].true, one) for one in surest],
        count=len(items),
    )


def _sureness(item: tuple[Prediction, ...]) -> float:
    """The lowest confidence of the runs; -1 where one states none."""
    return min(-1.0 if one.confidence is None else one.confidence for one in item)
