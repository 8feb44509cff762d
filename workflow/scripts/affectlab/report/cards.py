"""The first screen of the report: what was run, and one card for each experiment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affectlab import __version__
from affectlab.report.overview import RunLine


@dataclass(frozen=True, slots=True)
class Card:
    """One experiment at a glance.

    Attributes:
        name: of the experiment.
        title: the same for a reader.
        question: what it asks.
        line: of the run that validation chose.
        published: what a published recipe or number says, if there is one.
        problem: one thing about the data that a reader should know.
    """

    name: str
    title: str
    question: str
    line: RunLine
    published: str
    problem: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the whole page rests on.

    Attributes:
        runs: how many.
        trainings: how many runs and seeds were trained.
        scored: date of the last evaluation.
        version: of affectlab.
        commits: of the code that evaluated, short, with a mark for local changes.
    """

    runs: int
    trainings: int
    scored: str
    version: str
    commits: Sequence[str]


def facts_of(lines: Sequence[RunLine], records: Iterable[Mapping[str, Any]]) -> Facts:
    """Count what was run.

    Args:
        lines: of all runs.
        records: run.json of each run and seed.
    """
    records = list(records)
    made = [record["evaluation"] for record in records]
    commits = {
        f"{one['git']['commit'][:8]}{' with local changes' if one['git']['dirty'] else ''}"
        for one in made
        if one["git"]["commit"]
    }
    return Facts(
        runs=len(lines),
        trainings=sum(bool(record["training"]) for record in records),
        scored=max((one["time"][:10] for one in made), default="–"),
        version=__version__,
        commits=sorted(commits),
    )


def card_of(
    lines: Sequence[RunLine], best: str, question: str, problems: Sequence[str]
) -> Card | None:
    """The card of an experiment; None if the best run has no line.

    Args:
        lines: of its runs.
        best: name of the run that validation chose.
        question: what the experiment asks.
        problems: sentences about its data.
    """
    line = next((one for one in lines if one.run == best), None)
    if line is None:
        return None
    recipes = [one for one in lines if one.protocol[1] == "published" and one.run != best]
    published = "; ".join(
        f"{one.run} {one.shown['value']}" for one in recipes if one.score == line.score
    )
    return Card(
        name=line.experiment,
        title=line.title,
        question=question,
        line=line,
        published=published,
        problem=problems[0] if problems else "",
    )
