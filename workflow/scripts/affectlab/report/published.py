"""Published numbers next to ours: the difference, or why there is none."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from affectlab.config.entries import ReferenceResult
from affectlab.report.data_notes import DIFFERS, GENERATED, DataNote
from affectlab.report.display import (
    baseline_name,
    limits,
    number,
    score_name,
    signed,
    signed_limits,
)
from affectlab.report.results import SeedResult, other_splits, split_means, split_sizes

SPLITS = {
    "clip_random": "clips split at random",
    "grouped": "subjects kept apart",
    "official": "official split",
    "published": "published split",
}
"""Splits of records, where the key is not what a reader calls them."""

MARKED = {
    GENERATED: "our data are generated",
    DIFFERS: "our copy of the data differs",
}
"""Mark of a data set -> why its scores are not compared with published ones."""


@dataclass(frozen=True, slots=True)
class OurScore:
    """One score of one of our runs on one split, the mean over its seeds.

    Attributes:
        run: its name.
        protocol: ``published`` or ``corrected``.
        data: name of the data set.
        split: of the scored items, see `SPLITS`.
        metric: name of the score.
        value: of it.
        ci: its interval; None where there is none for all seeds.
        covers: what the interval covers: ``items``, or ``items and seeds``.
        n: scored items; None where the run does not state it.
        baseline: name and value of the strongest trivial baseline, if there is one.
    """

    run: str
    protocol: str
    data: str
    split: str
    metric: str
    value: float
    ci: tuple[float, float] | None
    covers: str
    n: int | None
    baseline: tuple[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Ours:
    """What the runs of one protocol have next to a published number.

    Attributes:
        score: of the run that is shown; None if no run has this score.
        difference: ours minus the published number; None if they cannot be compared.
        why: the reason for that; else empty.
        seen: whether the run was trained on items that it is scored on.
        others: names of further runs with the same score.
    """

    score: OurScore | None = None
    difference: float | None = None
    why: str = ""
    seen: bool = False
    others: tuple[str, ...] = ()

    @property
    def limits(self) -> tuple[float, float] | None:
        """The interval of the difference: that of ours minus the published number."""
        if self.score is None or self.difference is None or self.score.ci is None:
            return None
        published = self.score.value - self.difference
        low, high = self.score.ci
        return low - published, high - published

    @property
    def lines(self) -> list[str]:
        """What a cell has below our value."""
        if self.score is None:
            return [self.why]
        found = [f"{self.score.run}, interval {limits(self.score.ci)}"]
        if self.score.n is not None:
            found.append(f"n = {self.score.n:,}")
        if self.difference is None:
            found.append(f"not compared: {self.why}")
        elif self.limits is None:
            found.append(f"difference {signed(self.difference)}, no interval")
        else:
            shown = f"{signed(self.difference)} ({signed_limits(self.limits)})"
            found.append(f"difference {shown}, over {self.score.covers}")
        if self.others:
            count = len(self.others)
            found.append(f"{count} more run{'' if count == 1 else 's'} in the table of all runs")
        return found


@dataclass(frozen=True, slots=True)
class PublishedNumber:
    """One published number with what our runs of each protocol have next to it.

    Attributes:
        entry: of the registry.
        title: of its experiment, for a reader.
        published: our runs of the published protocol.
        corrected: our runs of the corrected protocol.
    """

    entry: ReferenceResult
    published: Ours = field(default_factory=Ours)
    corrected: Ours = field(default_factory=Ours)

    @property
    def both(self) -> tuple[Ours, Ours]:
        """Published protocol, then corrected protocol."""
        return self.published, self.corrected

    @property
    def compared(self) -> bool:
        """Whether a run of ours can be compared with it."""
        return any(one.difference is not None for one in self.both)

    @property
    def score(self) -> str:
        """What was measured, for a reader."""
        return f"{score_name(self.entry.metric)}, {split_name(self.entry.split)}"

    @property
    def value(self) -> str:
        """The number, and its interval if one is printed."""
        interval = self.entry.ci
        return number(self.entry.value) + (f" ({limits(interval)})" if interval else "")

    @property
    def size(self) -> str:
        """How many items it is of."""
        return "n not stated" if self.entry.n is None else f"n = {self.entry.n:,}"

    @property
    def baselines(self) -> list[tuple[str, str]]:
        """Value and name of the strongest trivial baseline of each score that is shown."""
        found = [one.score.baseline for one in self.both if one.score and one.score.baseline]
        return [
            (number(value), baseline_name(name, self.entry.experiment))
            for name, value in dict.fromkeys(found)
        ]


def split_name(split: str) -> str:
    """A split as a reader calls it."""
    return SPLITS.get(split, split.replace("_", " "))


def our_scores(
    comparison: Mapping[str, Any], runs: Mapping[str, Sequence[SeedResult]]
) -> list[OurScore]:
    """Every score of every run, on every split that all of its seeds have.

    Splits that are not the main one have an interval only for a run with one seed.

    Args:
        comparison: comparison.json of the experiment.
        runs: name -> what each seed left.
    """
    scores = []
    for run in comparison["runs"]:
        seeds = runs[run["run"]]
        first = seeds[0].metrics
        sizes = split_sizes(first)
        for split, means in split_means(seeds).items():
            main = split == first["data"]["split"]
            others = {} if main else other_splits(first)[split]["metrics"]
            for metric, value in means.items():
                if main and metric not in run["metrics"]:
                    continue
                entry = run["metrics"][metric] if main else others[metric]
                interval = entry["ci"] if main or len(seeds) == 1 else None
                baseline = entry["baseline"]
                scores.append(
                    OurScore(
                        run=run["run"],
                        protocol=run["protocol"],
                        data=run["data"],
                        split=split,
                        metric=metric,
                        value=entry["mean"] if main else value,
                        ci=None if interval is None else (interval[0], interval[1]),
                        covers=run["interval_covers"] if main else "items",
                        n=sizes[split],
                        baseline=None
                        if baseline is None
                        else (baseline["name"], baseline["value"]),
                    )
                )
    return scores


def published_numbers(
    experiment: str,
    entries: Sequence[ReferenceResult],
    scores: Sequence[OurScore],
    *,
    best: str,
    seen: Collection[str],
    notes: Mapping[str, DataNote],
) -> list[PublishedNumber]:
    """The published numbers of an experiment, each with ours.

    Of several runs with the same score the one in *best* is shown, else the first one.

    Args:
        experiment: its name.
        entries: of the registry, of all experiments.
        scores: of our runs, see `our_scores`.
        best: name of the run that validation chose.
        seen: names of the runs that were trained on items that they are scored on.
        notes: of every data set that our runs were scored on.
    """
    return [
        PublishedNumber(
            entry,
            **{
                protocol: _ours(
                    entry,
                    [one for one in scores if one.protocol == protocol],
                    best=best,
                    seen=seen,
                    marks={name: note.mark for name, note in notes.items()},
                )
                for protocol in ("published", "corrected")
            },
        )
        for entry in entries
        if entry.experiment == experiment
    ]


def csv_rows(numbers: Sequence[PublishedNumber]) -> list[dict[str, Any]]:
    """The rows of results.csv of the numbers that one of our scores is next to."""
    return [
        {
            "kind": "published",
            "experiment": entry.experiment,
            "run": entry.id,
            "data": entry.data,
            "split": entry.split,
            "metric": entry.metric,
            "value": entry.value,
            "ci_low": low,
            "ci_high": high,
            "n": entry.n,
            "source": entry.source,
            "verified": entry.verified,
        }
        for one in numbers
        if (entry := one.entry) and one.compared
        for low, high in [entry.ci or (None, None)]
    ]


def _ours(
    entry: ReferenceResult,
    scores: Sequence[OurScore],
    *,
    best: str,
    seen: Collection[str],
    marks: Mapping[str, str],
) -> Ours:
    """What the runs of one protocol, with *scores*, have next to a published number."""
    named = entry.runs or [one.run for one in scores]
    there = [one for one in scores if one.data == entry.data and one.run in named]
    if not there:
        return Ours(why="no such run")
    same = [one for one in there if one.metric == entry.metric]
    if not same:
        return Ours(why="not measured")
    exact = [one for one in same if one.split == entry.split]
    # The main split of a run comes first in its scores.
    shown = {one.run: one for one in reversed(exact or same)}
    score = shown.get(best, (exact or same)[0])
    mark = marks.get(entry.data, "")
    if not exact:
        why = f"another split ({split_name(score.split)})"
    else:
        why = MARKED[mark] if mark else ""
    return Ours(
        score=score,
        difference=None if why else score.value - entry.value,
        why=why,
        seen=score.run in seen,
        others=tuple(name for name in shown if name != score.run),
    )
