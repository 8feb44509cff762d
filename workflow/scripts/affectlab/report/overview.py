"""All runs at a glance: the cards of the first screen, and one table of every run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affectlab.report.display import PROTOCOLS, baseline_name, limits, number, score_name
from affectlab.report.results import SeedResult

VERDICTS = {
    "seen": ("⚠", "scored on its training items"),
    "beats": ("▲", "beats the baseline"),
    "equal": ("=", "not distinguishable from the baseline"),
    "below": ("▼", "below the baseline"),
    "none": ("–", "no baseline"),
}
"""What a score shows: a sign and words for each."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is made, for the commands that make it again.

    Attributes:
        snakefile: path of the workflow, from the folder of the run.
        results: name of the results folder in it.
        withdrawn: whether somebody withdrew from the data. The stored configuration names nobody,
            so a command needs a reader's own one as well.
    """

    snakefile: str
    results: str
    withdrawn: bool = False

    @property
    def everything(self) -> str:
        """What makes all results again, from the raw data on."""
        return shlex.join([*self._start, "--forceall"])

    def command(self, target: str) -> str:
        """What makes *target*, a path below the results, from the raw data on."""
        return shlex.join([*self._start, "--forceall", "--", f"{self.results}/{target}"])

    @property
    def _start(self) -> list[str]:
        return [
            *("snakemake", "--cores", "2", "--snakefile", self.snakefile),
            *("--configfile", f"{self.results}/config.yaml"),
            *(["YOUR_CONFIGURATION.yaml"] if self.withdrawn else []),
        ]


@dataclass(frozen=True, slots=True)
class SeedLine:
    """One seed of a run, with links from the page's folder.

    Attributes:
        seed: its number.
        value: its main score, with its interval.
        scored: date and commit of the evaluation.
        links: name of a file -> its path.
        command: makes its metrics again.
    """

    seed: int
    value: str
    scored: str
    links: Mapping[str, str]
    command: str


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """One score of a run, over its seeds."""

    name: str
    value: str
    interval: str
    baseline: str
    flag: str


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in the table of all runs.

    Attributes:
        experiment: its name.
        run: its name.
        about: model and data.
        protocol: sign and name.
        score: name of the main score.
        value: of it, for sorting.
        shown: the same for a reader, with its interval and the baseline's value and name.
        strip: where value, interval, baseline and published value lie, in percent of the scale.
        verdict: a key of `VERDICTS`.
        n: scored items.
        seeds: each of them.
        scores: all of them.
    """

    experiment: str
    title: str
    run: str
    about: str
    protocol: tuple[str, str]
    score: str
    value: float
    shown: Mapping[str, str]
    strip: Strip
    verdict: str
    n: int
    seeds: Sequence[SeedLine]
    scores: Sequence[ScoreLine]

    @property
    def words(self) -> tuple[str, str]:
        """Sign and words of the verdict."""
        return VERDICTS[self.verdict]


@dataclass(frozen=True, slots=True)
class Strip:
    """Positions on a scale, from 0 to 100.

    Attributes:
        value: of the score.
        low: of its interval; the value itself without one.
        high: likewise.
        baseline: of the trivial baseline, if there is one.
        published: of the published numbers of the same score on the same data.
        scale: its ends, if they are not 0 and 1.
    """

    value: float
    low: float
    high: float
    baseline: float | None
    published: Sequence[float]
    scale: str


def verdict_of(row: Mapping[str, Any], *, seen: bool) -> str:
    """What a score shows, held against the strongest trivial baseline.

    A difference counts only if the interval of the score leaves the baseline out.

    Args:
        row: of results.csv, see `results.COLUMNS`.
        seen: whether the run was trained on items that it is scored on.

    Returns:
        A key of `VERDICTS`.
    """
    if seen:
        return "seen"
    if row["baseline_value"] is None:
        return "none"
    if row["ci_low"] is None:
        return "below" if row["below_baseline"] else "equal"
    lower, higher = row["ci_high"] < row["baseline_value"], row["ci_low"] > row["baseline_value"]
    if row["direction"] == "lower":
        lower, higher = higher, lower
    return "below" if lower else "beats" if higher else "equal"


def strip_of(row: Mapping[str, Any], published: Sequence[float]) -> Strip:
    """Where the numbers of a row lie on a scale from 0 to 1, or on one that has room for them."""
    value = row["value"]
    low, high = (value if row[key] is None else row[key] for key in ("ci_low", "ci_high"))
    baseline = row["baseline_value"]
    numbers = [value, low, high, *published, *([] if baseline is None else [baseline])]
    first, last = min(0.0, *numbers), max(1.0, *numbers)
    if first < 0:
        first = min(first, -1.0)

    def place(one: float) -> float:
        return round(100 * (one - first) / (last - first), 2)

    return Strip(
        value=place(value),
        low=place(low),
        high=place(high),
        baseline=None if baseline is None else place(baseline),
        published=[place(one) for one in published],
        scale="" if (first, last) == (0, 1) else f"{number(first)} to {number(last)}",
    )


def run_lines(
    experiment: str,
    title: str,
    rows: Sequence[Mapping[str, Any]],
    runs: Mapping[str, Sequence[SeedResult]],
    seen: Sequence[str],
    place: Place,
) -> list[RunLine]:
    """The lines of one experiment, in the order of its rows.

    Args:
        experiment: its name.
        title: short, for a reader.
        rows: its rows of results.csv.
        runs: name -> what each seed left.
        seen: names of the runs that were trained on items that they are scored on.
        place: where they were made.
    """
    ours: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["kind"] == "ours":
            ours.setdefault(row["run"], []).append(row)
    return [
        _run_line(
            (experiment, title),
            own,
            next(row for row in own if row["headline"]),
            _published(rows, own),
            runs[name],
            seen=name in seen,
            place=place,
        )
        for name, own in ours.items()
        if any(row["headline"] for row in own)
    ]


def _published(rows: Sequence[Mapping[str, Any]], own: Sequence[Mapping[str, Any]]) -> list[float]:
    main = next((row for row in own if row["headline"]), None)
    if main is None:
        return []
    same = ("data", "metric", "split")
    return [
        row["value"]
        for row in rows
        if row["kind"] == "published" and all(row[key] == main[key] for key in same)
    ]


def _run_line(
    of: tuple[str, str],
    rows: Sequence[Mapping[str, Any]],
    main: Mapping[str, Any],
    published: Sequence[float],
    seeds: Sequence[SeedResult],
    *,
    seen: bool,
    place: Place,
) -> RunLine:
    model = main["model"] or main["method"]
    return RunLine(
        experiment=of[0],
        title=of[1],
        run=main["run"],
        about=" · ".join(dict.fromkeys((model, main["data"]))),
        protocol=PROTOCOLS[main["protocol"]],
        score=score_name(main["metric"]),
        value=main["value"],
        shown={
            "value": number(main["value"]),
            "interval": _interval(main),
            "baseline": number(main["baseline_value"]),
            "baseline_name": baseline_name(main["baseline"], of[0]) if main["baseline"] else "",
        },
        strip=strip_of(main, published),
        verdict=verdict_of(main, seen=seen),
        n=main["n"],
        seeds=[_seed_line(of[0], main, seed, place) for seed in seeds],
        scores=[_score_line(row) for row in rows],
    )


def _interval(row: Mapping[str, Any]) -> str:
    return limits(None if row["ci_low"] is None else (row["ci_low"], row["ci_high"]))


def _score_line(row: Mapping[str, Any]) -> ScoreLine:
    baseline = ""
    if row["baseline"]:
        baseline = (
            f"{number(row['baseline_value'])} ({baseline_name(row['baseline'], row['experiment'])})"
        )
    return ScoreLine(
        name=score_name(row["metric"]),
        value=number(row["value"]),
        interval=_interval(row),
        baseline=baseline or "–",
        flag="below" if row["below_baseline"] else "",
    )


def _seed_line(
    experiment: str, main: Mapping[str, Any], result: SeedResult, place: Place
) -> SeedLine:
    record = result.metrics
    score = record["metrics"].get(main["metric"], {"value": None, "ci": None})
    folder = f"{experiment}/{record['run']}/seed{record['seed']}"
    files = {
        "metrics": "metrics.json",
        "model card": "model_card.md",
        "predictions": "predictions.jsonl",
        "predictions (Parquet)": "predictions.parquet",
    }
    made = result.run_record["evaluation"]
    commit = made["git"]["commit"]
    return SeedLine(
        seed=record["seed"],
        value=f"{number(score['value'])} ({limits(score['ci'])})",
        scored=f"{made['time'][:10]}{f', {commit[:8]}' if commit else ''}",
        links={
            name: f"../{folder}/{file}"
            for name, file in files.items()
            if (result.folder / file).exists()
        },
        command=place.command(f"{folder}/metrics.json"),
    )
