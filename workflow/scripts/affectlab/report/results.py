"""Results of any experiment, from the records that its runs left: tables and comparisons."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.config.models import Run
from affectlab.errors import DataError
from affectlab.evaluation.outside_words import SPLITS
from affectlab.evaluation.records import read_metrics, read_run_record
from affectlab.files.io import read_json
from affectlab.report.data_notes import DataNote
from affectlab.report.display import number, score_name
from affectlab.report.words import trivial

NOT_OURS = ", somebody else's model,"
"""After the name of a run that is shown first and that we did not train."""

COLUMNS = (
    "kind",
    "experiment",
    "run",
    "protocol",
    "method",
    "model",
    "data",
    "data_note",
    "split",
    "metric",
    "direction",
    "value",
    "sd",
    "ci_low",
    "ci_high",
    "interval_covers",
    "n",
    "groups",
    "seeds",
    "baseline",
    "baseline_value",
    "below_baseline",
    "headline",
    "source",
    "verified",
)
"""Of results.csv: one row a run and metric, over its seeds, then the published numbers."""


@dataclass(frozen=True, slots=True)
class SeedResult:
    """The files of one run with one seed."""

    folder: Path
    metrics: dict[str, Any]
    run_record: dict[str, Any]
    export: dict[str, Any] | None


def results_rows(
    comparison: Mapping[str, Any], notes: Mapping[str, DataNote]
) -> list[dict[str, Any]]:
    """Our rows of results.csv: see `COLUMNS`. Cells that do not apply are left out.

    The scores of a run begin with those of the headline, the main one first.

    Args:
        comparison: comparison.json of an experiment.
        notes: of every data set in the comparison.
    """
    rows: list[dict[str, Any]] = []
    for run in comparison["runs"]:
        first = [name for name in comparison["headline"] if name in run["metrics"]]
        for name in dict.fromkeys((*first, *run["metrics"])):
            entry = run["metrics"][name]
            baseline = entry["baseline"] or {"name": None, "value": None}
            low, high = entry["ci"] or (None, None)
            rows.append(
                {
                    "kind": "ours",
                    "experiment": comparison["experiment"],
                    "run": run["run"],
                    "protocol": run["protocol"],
                    "method": run["method"],
                    "model": run["model"],
                    "data": run["data"],
                    "data_note": notes[run["data"]].mark,
                    "split": run.get("split", "test"),
                    "metric": name,
                    "direction": entry["direction"],
                    "value": entry["mean"],
                    "sd": entry["sd"],
                    "ci_low": low,
                    "ci_high": high,
                    "interval_covers": run["interval_covers"],
                    "n": run["n"],
                    "groups": run["groups"],
                    "seeds": " ".join(map(str, run["seeds"])),
                    "baseline": baseline["name"],
                    "baseline_value": baseline["value"],
                    "below_baseline": entry["below_baseline"],
                    "headline": name in comparison["headline"],
                }
            )
    return rows


def results_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """The text of results.csv."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: "" if value is None else value for key, value in row.items()})
    return buffer.getvalue()


def trained_on_scored(runs: Mapping[str, Sequence[SeedResult]]) -> list[str]:
    """Names of somebody else's runs whose model was trained on items that it is scored on."""
    return [
        name
        for name, seeds in runs.items()
        if seeds[0].metrics["details"].get("outside", {}).get("trained_on")
    ]


def is_elsewhere(seeds: Sequence[SeedResult]) -> bool:
    """Whether a run scores somebody else's predictions, or a model that we did not train."""
    return "outside" in seeds[0].metrics.get("details", {})


def trained_here(runs: Mapping[str, Sequence[SeedResult]]) -> list[str]:
    """Names of the runs that may be shown first: those that we trained, or all if there are none.

    Somebody else's model may have been trained or chosen on any of these items, so its score on
    validation cannot be compared with ours.
    """
    own = [name for name, seeds in runs.items() if not is_elsewhere(seeds)]
    return own or list(runs)


def training_items(seeds: Sequence[SeedResult]) -> str:
    """How a sentence calls the training items of a run that scored items are compared with."""
    first = seeds[0].metrics
    found = first.get("details", {}).get("outside")
    if found is None:
        return "the training data"
    listed = "its makers' list of training items"
    if first["data"]["split"] not in SPLITS:
        return listed
    split = "the training split of these data"
    return f"{split}, or on {listed}," if found["trained_on"] else split


def split_means(seeds: Sequence[SeedResult]) -> dict[str, dict[str, float]]:
    """Mean over seeds of every metric of every split that all of them have."""
    means: dict[str, dict[str, float]] = {}
    first = seeds[0].metrics
    headline = first["data"]["split"]
    splits = [headline, *other_splits(first)]
    for split in splits:
        blocks = [
            seed.metrics["metrics"]
            if split == headline
            else other_splits(seed.metrics)[split]["metrics"]
            for seed in seeds
        ]
        means[split] = {
            name: sum(block[name]["value"] for block in blocks) / len(blocks)
            for name in blocks[0]
            if all(name in block for block in blocks)
        }
    return means


def other_splits(record: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The scores of a run on splits other than the main one; a run may have none."""
    found: Mapping[str, Mapping[str, Any]] = record.get("other_splits", {})
    return found


def split_sizes(record: Mapping[str, Any]) -> dict[str, int]:
    """How many items each split of a run's scores has."""
    others = {split: block["n"] for split, block in other_splits(record).items()}
    return {record["data"]["split"]: record["data"]["n"], **others}


def against_baseline(comparison: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Run -> its pair with the baseline run, as first minus second with the baseline second."""
    baseline = comparison["baseline"]
    found = {}
    for pair in comparison["pairs"]:
        if pair["second"]["run"] == baseline:
            found[pair["first"]["run"]] = pair
        elif pair["first"]["run"] == baseline:
            found[pair["second"]["run"]] = _turned(pair)
    return found


def _turned(pair: Mapping[str, Any]) -> dict[str, Any]:
    """A pair seen from its second run."""
    return {
        **pair,
        "first": pair["second"],
        "second": pair["first"],
        "differences": {
            name: {
                **entry,
                "value": -entry["value"],
                "ci": None if entry["ci"] is None else [-entry["ci"][1], -entry["ci"][0]],
            }
            for name, entry in pair["differences"].items()
        },
    }


def below_baseline(comparison: Mapping[str, Any]) -> list[str]:
    """A sentence for every run with scores that are worse than the trivial baseline."""
    sentences = []
    for run in comparison["runs"]:
        worse = [
            f"{score_name(name)} {number(entry['mean'])}"
            f" ({trivial(entry['baseline']['name'], comparison['experiment'])}:"
            f" {number(entry['baseline']['value'])})"
            for name, entry in run["metrics"].items()
            if entry["below_baseline"]
        ]
        if worse:
            sentences.append(f"{run['run']}: {', '.join(worse)}.")
    return sentences


def read_runs(
    folder: Path, runs: Mapping[str, Run], names: Iterable[str], exported: Iterable[str] = ()
) -> dict[str, list[SeedResult]]:
    """Read what the runs called *names* left, every seed of each.

    Args:
        folder: of the experiment, such as ``results/emotion``.
        runs: name -> run, as configured.
        names: of the runs that are read, in the order of the result.
        exported: names of the runs whose first seed was exported.

    Raises:
        DataError: a record is missing or broken.
    """
    # What was exported before and is no longer asked for may be of older weights.
    exports = {name: runs[name].seeds[0] for name in exported}
    return {
        name: [
            read_seed(folder / name / f"seed{seed}", exported=exports.get(name) == seed)
            for seed in runs[name].seeds
        ]
        for name in names
    }


def read_seed(folder: Path, *, exported: bool) -> SeedResult:
    """Read what one run with one seed left in *folder*; its exports if it was *exported*.

    Raises:
        DataError: a record is missing or broken.
    """
    return SeedResult(
        folder=folder,
        metrics=read_metrics(folder / "metrics.json"),
        run_record=read_run_record(folder / "run.json"),
        export=_read_export(folder / "export" / "export.json") if exported else None,
    )


def _read_export(path: Path) -> dict[str, Any]:
    """What an export measured: its formats, one of them the reference."""
    found = read_json(path)
    formats = found.get("formats") if isinstance(found, dict) else None
    if (
        not isinstance(formats, dict)
        or not all(isinstance(measured, dict) for measured in formats.values())
        or not isinstance(found.get("reference"), str)
    ):
        problem = "expected a record of an export, with formats and a reference"
        raise DataError(path, None, problem)
    checked: dict[str, Any] = found
    return checked
