"""Summaries that somebody else wrote, scored like any run."""

import csv
import html
import json
import subprocess
import sys

import pytest
from conftest import environment
from test_own_summary import spanish

OURS = "lead_demo"
SEED = "results/summary/{}/seed42"
MADE = f"{SEED.format(OURS)}/predictions.jsonl"
UNKNOWN = {"valid_output", "failed"}


def theirs(path, **block):
    return {
        "method": "predictions",
        "data": "longemotion_sample",
        "seeds": [42],
        "predictions": {"path": path, **block},
    }


@pytest.fixture(scope="module")
def scored(project):
    """The folder of a baseline, its summaries fed back, and a table with names of its own."""
    directory = project.directory("outside_summaries")
    alone = project.write_overlay(
        "outside_summaries_alone",
        {
            "experiments": ["summary"],
            "summary": {"selected": [OURS], "baseline": OURS, "runs": {OURS: {"seeds": [42]}}},
        },
    )
    overlays = [project.root / "config" / "demo.yaml", project.overlay, alone]
    result = project.snakemake(MADE, directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    rows = [json.loads(line) for line in (directory / MADE).read_text().splitlines()]
    fields = {name: f"column {place}" for place, name in enumerate(list(rows[0])[1:])}
    with (directory / "plain.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["case", *fields.values()])
        table.writerows([row["id"], *(row[name] for name in fields)] for row in rows)
    (directory / "trained_on.txt").write_text(f"{rows[0]['id']}\n")
    # The names of the fields are those of the records.
    names = list(
        json.loads(
            (directory / "results/summary/data/longemotion_sample/records.jsonl")
            .read_text()
            .splitlines()[0]
        )["references"]
    )
    plain = {
        "columns": {"id": "case"},
        "classes": dict(zip(fields.values(), names, strict=True)),
        "trained_on": "trained_on.txt",
    }
    runs = {"fed_back": theirs(MADE), "plain": theirs("plain.csv", **plain)}
    block = {"selected": [OURS, *runs], "runs": runs}
    overlay = project.write_overlay("outside_summaries", {"summary": block})
    result = project.snakemake(directory=directory, overlays=[*overlays, overlay])
    assert result.status == 0, result.output
    assert {"summary_outside", "summary_evaluate", "report_build"} <= result.rules
    return directory


def metrics(scored, run):
    return json.loads((scored / SEED.format(run) / "metrics.json").read_text())


def test_our_own_summaries_fed_back_have_the_same_scores(scored):
    ours = metrics(scored, OURS)
    expected = {name: entry for name, entry in ours["metrics"].items() if name not in UNKNOWN}
    assert "rouge_l" in expected
    for run in ("fed_back", "plain"):
        record = metrics(scored, run)
        assert record["metrics"] == expected
        assert record["details"]["fields"] == ours["details"]["fields"]


def test_cases_that_were_trained_on_are_left_out_too(scored):
    record = metrics(scored, "plain")
    rest = record["other_splits"]["test_without_overlap"]
    assert record["data"]["n"] - rest["n"] == 1
    page = html.unescape((scored / "results/report/index.html").read_text())
    assert "plain: Somebody else predicted these cases." in page
    assert "The model was trained on 1 of the scored cases." in page


def test_the_referee_judges_summaries(project):
    folder = project.directory("referee_summaries")
    rows = [spanish(number) for number in range(24)]
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    with (folder / "theirs.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "summary"])
        table.writerows([row["id"], row["summary"]] for row in rows[:10])
    done = subprocess.run(
        [
            *(sys.executable, "-m", "affectlab", "referee", "summary", "--data", "cases.csv"),
            *("--predictions", "theirs.csv"),
        ],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert "On 10 cases the ROUGE-L is 1.000" in words
    assert "Somebody else predicted these cases." in words
