"""What the report says: tables and sentences, from the records that the runs left."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.core.errors import DataError
from affectlab.core.io import read_json

COLUMNS = (
    "kind",
    "wing",
    "run",
    "protocol",
    "method",
    "model",
    "data",
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


@dataclass(frozen=True, slots=True)
class WingResults:
    """Everything that one wing left, runs and seeds in the order of the configuration."""

    runs: dict[str, list[SeedResult]]
    comparison: dict[str, Any]
    audits: dict[str, dict[str, Any]]
    label_noise: dict[str, dict[str, Any]]


def read_wing(folder: Path, config: Mapping[str, Any]) -> WingResults:
    """Read what a wing left in its results folder.

    Args:
        folder: such as ``results/emotion``.
        config: the wing's block of the effective configuration.

    Raises:
        DataError: a record of a selected run is missing or broken.
    """
    runs = {
        name: [_read_seed(folder / name / f"seed{seed}") for seed in config["runs"][name]["seeds"]]
        for name in config["selected"]
    }
    data = sorted({config["runs"][name]["data"] for name in config["selected"]})
    noise = {
        name: read_json(path)
        for name in data
        if (path := folder / "data" / name / "label_noise.json").exists()
    }
    return WingResults(
        runs=runs,
        comparison=read_json(folder / "comparison.json"),
        audits={name: read_json(folder / "data" / name / "audit.json") for name in data},
        label_noise=noise,
    )


def results_rows(
    wing: str, comparison: Mapping[str, Any], published: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The rows of results.csv: see `COLUMNS`. Cells that do not apply are left out."""
    rows: list[dict[str, Any]] = []
    for run in comparison["runs"]:
        for name, entry in run["metrics"].items():
            baseline = entry["baseline"] or {"name": None, "value": None}
            rows.append(
                {
                    "kind": "ours",
                    "wing": wing,
                    "run": run["run"],
                    "protocol": run["protocol"],
                    "method": run["method"],
                    "model": run["model"],
                    "data": run["data"],
                    "split": "test",
                    "metric": name,
                    "direction": entry["direction"],
                    "value": entry["mean"],
                    "sd": entry["sd"],
                    "ci_low": entry["ci"][0],
                    "ci_high": entry["ci"][1],
                    "interval_covers": run["interval_covers"],
                    "n": run["n"],
                    "groups": run["groups"],
                    "seeds": " ".join(map(str, run["seeds"])),
                    "baseline": baseline["name"],
                    "baseline_value": baseline["value"],
                    "below_baseline": entry["below_baseline"],
                }
            )
    for number in published:
        low, high = number.get("ci") or (None, None)
        rows.append(
            {
                "kind": "published",
                "wing": wing,
                "run": number["id"],
                "data": number["data"],
                "split": number["split"],
                "metric": number["metric"],
                "value": number["value"],
                "ci_low": low,
                "ci_high": high,
                "n": number["n"],
                "source": number["source"],
                "verified": number["verified"],
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


def published_for(
    wing: str, runs: Sequence[Mapping[str, Any]], published: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Published numbers with ours beside them: each with ``ours``, a difference by run.

    A number stands beside the runs that it names, or beside all runs on its data. Ours is of the
    split that the published number is of.

    Args:
        wing: whose numbers.
        runs: each with ``run``, ``data``, ``values`` (split -> metric -> mean over seeds) and
            ``sizes`` (split -> items).
        published: entries of the registry of reference results.
    """
    rows = []
    for number in published:
        if number["wing"] != wing:
            continue
        beside = number.get("runs") or [run["run"] for run in runs]
        ours = {}
        for run in runs:
            value = run["values"].get(number["split"], {}).get(number["metric"])
            if run["run"] in beside and run["data"] == number["data"] and value is not None:
                ours[run["run"]] = {
                    "value": value,
                    "difference": value - number["value"],
                    "n": run["sizes"][number["split"]],
                }
        if ours:
            rows.append({**number, "ours": ours})
    return rows


def split_means(seeds: Sequence[SeedResult]) -> dict[str, dict[str, float]]:
    """Mean over seeds of every metric of every split."""
    means: dict[str, dict[str, float]] = {}
    first = seeds[0].metrics
    splits = ["test", *first["other_splits"]]
    for split in splits:
        blocks = [
            seed.metrics["metrics"]
            if split == "test"
            else seed.metrics["other_splits"][split]["metrics"]
            for seed in seeds
        ]
        means[split] = {
            name: sum(block[name]["value"] for block in blocks) / len(blocks) for name in blocks[0]
        }
    return means


def split_sizes(record: Mapping[str, Any]) -> dict[str, int]:
    """How many items each split of a run's scores has."""
    others = {split: block["n"] for split, block in record["other_splits"].items()}
    return {"test": record["data"]["n"], **others}


def headline(
    results: WingResults, published: Sequence[Mapping[str, Any]], sample_data: Sequence[str]
) -> list[str]:
    """What was found, in plain sentences; the first is the main one."""
    summaries = {run["run"]: run for run in results.comparison["runs"]}
    means = {name: split_means(seeds) for name, seeds in results.runs.items()}
    sound = [name for name, run in summaries.items() if run["protocol"] == "sound"] or list(means)
    # The best one is named by validation: naming it by test would favour luck.
    best = max(sound, key=lambda name: means[name]["validation"]["accuracy"])
    run = summaries[best]
    score = run["metrics"]["accuracy"]
    sentences = [
        f"{best}, the run with the highest validation accuracy, gives {_percent(score['mean'])} of"
        f" {run['n']:,} unseen test texts the label they carry"
        f" ({_interval(score['ci'], results.comparison['interval']['level'])};"
        f" {_count(len(run['seeds']), 'seed')})."
    ]
    if score["baseline"]:
        sentences.append(
            f"Always guessing the commonest class gives {_percent(score['baseline']['value'])}."
        )
    baseline = results.comparison["baseline"]
    for pair in results.comparison["pairs"]:
        if {pair["first"]["run"], pair["second"]["run"]} == {best, baseline}:
            sign = 1 if pair["first"]["run"] == best else -1
            gain = pair["differences"]["accuracy"]
            limits = sorted(sign * limit for limit in gain["ci"])
            clear = "a clear" if limits[0] > 0 or limits[1] < 0 else "no clear"
            sentences.append(
                f"Against {baseline} on the same items: {_points(sign * gain['value'])}"
                f" (interval {_points(limits[0])} to {_points(limits[1])}), {clear} difference."
            )
    verified = [
        number
        for number in published
        if number["verified"] and number["metric"] == "accuracy" and best in number["ours"]
    ]
    if verified:
        top = max(verified, key=lambda number: float(number["value"]))
        inside = score["ci"][0] <= top["value"] <= score["ci"][1]
        sentences.append(
            f"The best published and independently verified figure on this split is {top['name']},"
            f" {_percent(top['value'])}; it lies {'inside' if inside else 'outside'} the interval"
            f" of {best}."
        )
        if top["n"] not in (None, run["n"]):
            sentences.append(
                f"That figure is of {top['n']:,} items and ours of {run['n']:,}: they are not the"
                " same items, so the two compare only roughly."
            )
    rest = results.runs[best][0].metrics["other_splits"].get("test_without_overlap")
    left_out = run["n"] - rest["n"] if rest else 0
    if left_out:
        change = means[best]["test_without_overlap"]["accuracy"] - means[best]["test"]["accuracy"]
        sentences.append(
            f"Leaving out the {left_out} test texts that stand in the training data as well"
            f" changes its accuracy by {_points(change)}."
        )
    before, after = (run["metrics"][name]["mean"] for name in ("ece", "ece_calibrated"))
    sentences.append(
        f"Its stated confidence is off by {_percent(before)} on average as trained, and by"
        f" {_percent(after)} after temperature scaling."
    )
    for name, noise in results.label_noise.items():
        sentences.append(
            f"About {_percent(noise['noise_rate'])} of the training labels of {name} look doubtful"
            " (confident learning; an estimate, not a count of errors)."
        )
    for name, audit in results.audits.items():
        differing = [row["what"] for row in audit["expected"] if row["status"] != "ok"]
        if differing:
            sentences.append(
                f"The data at hand are not the {name} that the registry describes: they differ in"
                f" {', '.join(differing)}."
            )
    if run["data"] in sample_data:
        sentences.append(
            f"The data set {run['data']} is generated: these numbers show that the workflow runs,"
            " and nothing about emotion."
        )
    return sentences


def below_baseline(comparison: Mapping[str, Any]) -> list[str]:
    """A sentence for every run with scores that are worse than the trivial answer."""
    sentences = []
    for run in comparison["runs"]:
        worse = [
            f"{name.replace('_', ' ')} {entry['mean']:.4f}"
            f" (trivial: {entry['baseline']['value']:.4f})"
            for name, entry in run["metrics"].items()
            if entry["below_baseline"]
        ]
        if worse:
            sentences.append(f"{run['run']}: {', '.join(worse)}.")
    return sentences


def _read_seed(folder: Path) -> SeedResult:
    metrics = read_json(folder / "metrics.json")
    if not isinstance(metrics, dict) or "metrics" not in metrics:
        raise DataError(folder / "metrics.json", None, "expected a record of scores")
    export = folder / "export" / "export.json"
    return SeedResult(
        folder=folder,
        metrics=metrics,
        run_record=read_json(folder / "run.json"),
        export=read_json(export) if export.exists() else None,
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f} points"


def _interval(limits: Sequence[float], level: float) -> str:
    return f"{100 * level:g} % interval {100 * limits[0]:.1f} to {100 * limits[1]:.1f}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
