"""Trained models on other data than their own: a matrix and sentences for the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import stdev
from typing import Any, NamedTuple

from affectlab.config.models import Run
from affectlab.evaluation.other_data import HEADLINE, SeedMean, over_seeds, read_other_data
from affectlab.evaluation.outside_words import one_answer
from affectlab.files.io import read_json
from affectlab.report.data_notes import DataNote
from affectlab.report.display import limits, number
from affectlab.report.results import SeedResult
from affectlab.report.section import render
from affectlab.report.words import interval, relation, trivial

HERE = Path(__file__).parent

OWN_SCORES = (HEADLINE, "macro_recall")
"""Names of the unweighted average recall in metrics.json, the first that is there."""


class OtherDataPart(NamedTuple):
    """What the report has of models on other data.

    Attributes:
        sentences: one for each run and other data set: the score and the drop.
        html: the matrix with notes; empty where no run is tested on other data.
        rows: of results.csv, see `results.COLUMNS`.
    """

    sentences: list[str]
    html: str
    rows: list[dict[str, Any]]


class Tested(NamedTuple):
    """One run on one other data set.

    Attributes:
        run: its name.
        record: of the first seed; counts and classes are those of all seeds.
        other: the headline on the other data, over seeds.
        within: the same on held-out items of the own data, of the same classes.
        drop: within minus other.
        all_classes: the headline on the other data where the answers are all classes.
    """

    run: str
    record: Mapping[str, Any]
    other: SeedMean
    within: SeedMean
    drop: SeedMean
    all_classes: SeedMean

    @classmethod
    def of(cls, run: str, records: Sequence[Mapping[str, Any]]) -> Tested:
        """From the records of all seeds."""
        level = records[0]["interval"]["level"]

        def mean(answers: str, name: str) -> SeedMean:
            return over_seeds([record[answers][HEADLINE][name] for record in records], level)

        return cls(
            run,
            records[0],
            mean("shared", "other"),
            mean("shared", "within"),
            mean("shared", "drop"),
            mean("all_classes", "other"),
        )

    @property
    def data(self) -> str:
        """Name of the other data."""
        return str(self.record["other"]["data"])

    @property
    def sentence(self) -> str:
        """The score and the drop."""
        other, level = self.other, self.record["interval"]["level"]
        shown = "" if self.drop.ci[0] > 0 or self.drop.ci[1] < 0 else NO_DROP
        return (
            f"{self.run} has an unweighted average recall of {number(other.value)} on {self.data}"
            f" ({interval(other.ci, level, other.covers)};"
            f" n = {self.record['other']['n']:,}), and of {number(self.within.value)} on held-out"
            f" items of {self.record['within']['data']} of the same"
            f" {len(self.record['shared_classes'])} classes. The drop is {number(self.drop.value)}"
            f" (interval {limits(self.drop.ci)}).{shown}"
        )

    @property
    def notes(self) -> list[str]:
        """What limits the score."""
        record, baseline = self.record, self.record["shared"][HEADLINE]["other"]["baseline"]
        where = relation(self.other.ci, baseline["value"])
        found = [
            f"{self.run} on {self.data}: the score is {where} the {number(baseline['value'])} of"
            f" {trivial(baseline['name'])}."
        ]
        answers, n = record["other"]["answers"], record["other"]["n"]
        if note := one_answer(answers, n):
            found.append(note)
        if record["left_out"]:
            count, names = sum(record["left_out"].values()), ", ".join(record["left_out"])
            found.append(f"Items of other classes, which are not scored: {count:,} ({names}).")
        if copied := len(record["copies"]["items"]):
            found.append(self._copies(copied))
        return found

    def _copies(self, copied: int) -> str:
        rest = self.record["copies"]["without"]
        start = f"Items that the model was trained on, or nearly so: {copied:,}."
        if rest is None:
            return f"{start} No other item is left."
        one = rest["metrics"][HEADLINE]
        seed = self.record["seed"]
        return (
            f"{start} Without them the recall of seed {seed} is {number(one['value'])}"
            f" ({limits(one['ci'])}; n = {rest['n']:,})."
        )


ON_OTHER_DATA = "other data"
"""``kind`` of the rows of results.csv."""

NO_DROP = " It includes 0: these items do not show that the score differs."


def other_data_part(
    experiment: str,
    folder: Path,
    configured: Mapping[str, Run],
    runs: Mapping[str, Sequence[SeedResult]],
    notes: Mapping[str, DataNote],
) -> OtherDataPart:
    """Read what the runs left on other data.

    Args:
        experiment: its name.
        folder: of the experiment, such as ``results/emotion``.
        configured: name -> run, as configured.
        runs: name -> what each seed left.
        notes: of every data set that they are tested on.

    Raises:
        DataError: a record is missing or broken.
    """
    records = {
        (name, other): [
            read_other_data(one.folder / "on" / other / "metrics.json") for one in seeds
        ]
        for name, seeds in runs.items()
        for other in getattr(configured[name], "test_on", {})
    }
    tested = [Tested.of(name, found) for (name, _), found in records.items()]
    if not tested:
        return OtherDataPart([], "", [])
    columns = list(
        dict.fromkeys(name for one in tested for name in (one.record["within"]["data"], one.data))
    )
    html = render(
        HERE / "other_data.html.j2",
        experiment=experiment,
        columns=columns,
        rows=_rows(tested, columns, runs),
        tested=tested,
    )
    rows = [
        row
        for (name, other), found in records.items()
        for row in _result_rows(found, runs[name][0].metrics, notes[other])
    ]
    return OtherDataPart([one.sentence for one in tested], html, rows)


def _result_rows(
    records: Sequence[Mapping[str, Any]], trained: Mapping[str, Any], note: DataNote
) -> Iterator[dict[str, Any]]:
    """A row for each score of one run on one other data set, over its seeds.

    Args:
        records: of the seeds.
        trained: metrics.json of the first seed.
        note: of the other data.
    """
    first = records[0]
    for name, entry in first["shared"].items():
        scores = [record["shared"][name]["other"] for record in records]
        mean = over_seeds(scores, first["interval"]["level"])
        baseline = entry["other"]["baseline"]
        yield {
            "kind": ON_OTHER_DATA,
            "experiment": first["experiment"],
            "run": first["run"],
            "protocol": first["protocol"],
            "method": trained["method"],
            "model": trained["model"]["name"],
            "data": first["other"]["data"],
            "data_note": note.mark,
            "split": first["other"]["split"],
            "metric": name,
            "direction": "higher",
            "value": mean.value,
            "sd": stdev(one["value"] for one in scores) if len(scores) > 1 else None,
            "ci_low": mean.ci[0],
            "ci_high": mean.ci[1],
            "interval_covers": mean.covers,
            "n": first["other"]["n"],
            "groups": first["other"]["groups"],
            "seeds": " ".join(str(record["seed"]) for record in records),
            "baseline": baseline["name"],
            "baseline_value": baseline["value"],
            "below_baseline": mean.value < baseline["value"],
            "headline": False,
        }


def tested_audits(
    folder: Path, configured: Mapping[str, Run], names: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """Name -> audit.json of the other data that runs are tested on.

    Args:
        folder: of the experiment.
        configured: name -> run, as configured.
        names: of the runs.

    Raises:
        DataError: an audit is missing.
    """
    found = {other for name in names for other in getattr(configured[name], "test_on", {})}
    return {name: read_json(folder / "data" / name / "audit.json") for name in sorted(found)}


def _rows(
    tested: Sequence[Tested],
    columns: Sequence[str],
    runs: Mapping[str, Sequence[SeedResult]],
) -> list[dict[str, Any]]:
    """A row for each run that is tested, or trained on one of the data sets."""
    found = {(one.run, one.data): one for one in tested}
    rows = []
    for name, seeds in runs.items():
        first = seeds[0].metrics
        own = _own(seeds)
        trained_here = first["data"]["name"] in columns and own is not None
        if "outside" in first.get("details", {}) or not trained_here:
            continue
        cells = [
            {"own": own, "n": first["data"]["n"], "classes": len(first["data"]["classes"])}
            if column == first["data"]["name"]
            else {"tested": found.get((name, column))}
            for column in columns
        ]
        rows.append({"run": name, "data": first["data"]["name"], "cells": cells})
    return rows


def _own(seeds: Sequence[SeedResult]) -> SeedMean | None:
    """The unweighted average recall on the own data; None of a run that has no such score."""
    first = seeds[0].metrics
    name = next((one for one in OWN_SCORES if one in first["metrics"]), None)
    if name is None or "classes" not in first["data"]:
        return None
    entries = [seed.metrics["metrics"][name] for seed in seeds]
    return over_seeds(entries, first["interval"]["level"])
