"""Predictions of spans that somebody else made, scored like any run."""

import csv
import html
import json
import subprocess
import sys

import pytest
from conftest import environment
from own_spans import rows_of, write
from pyarrow import parquet

from affectlab.datasets.overlay import as_yaml
from affectlab.entity.overlay import overlay

SEED = "results/entity/{}/seed42"
NEEDS_EMBEDDING = ("kappa_", "retrieval_", "aurc")
DECISIONS = {"accuracy", "macro_f1", "micro_f1"}


def theirs(path):
    return {
        "method": "predictions",
        "data": "scenes",
        "seeds": [42],
        "predictions": {"path": path},
    }


@pytest.fixture(scope="module")
def scored(project):
    """The folder of a run of our own, its predictions fed back, and a table of decisions."""
    directory = project.directory("outside_entity")
    parts = ("train", "train", "validation", "test")
    rows = [
        {**row, "set": parts[n // 5 % 4], "sex": ("female", "male")[n % 2]}
        for n, row in enumerate(rows_of(80))
    ]
    write(directory / "scenes.jsonl", rows)
    proposed = as_yaml(overlay(directory / "scenes.jsonl"), "scenes", directory / "scenes.jsonl")
    (directory / "my.yaml").write_text(proposed)
    tiny = {"model": "roberta-tiny", "stages": [{"training": {"epochs": 1}}]}
    block = {
        "selected": ["scenes_tiny"],
        "bootstrap": {"resamples": 100},
        "runs": {"scenes_tiny": tiny},
    }
    overlays = [
        directory / "my.yaml",
        project.write_overlay(
            "outside_entity_tiny",
            {"entity": block, "datasets": {"scenes": {"subgroups": ["sex"]}}},
        ),
    ]
    made = f"{SEED.format('scenes_tiny')}/predictions.parquet"
    result = project.snakemake(made, directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    described = directory / "results/entity/data/scenes/description.json"
    classes = json.loads(described.read_text())["classes"]
    with (directory / "plain.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "label"])
        for row in parquet.read_table(directory / made).to_pylist():
            if (row["split"], row["variant"]) == ("test", "clean"):
                likeliest = max(range(len(classes)), key=row["probabilities"].__getitem__)
                table.writerow([row["id"], classes[likeliest]])
    block = {
        "selected": ["scenes_tiny", "fed_back", "plain"],
        "runs": {"fed_back": theirs(made), "plain": theirs("plain.csv")},
    }
    overlays.append(project.write_overlay("outside_entity", {"entity": block}))
    result = project.snakemake(directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    assert {"entity_outside", "entity_evaluate_outside", "report_build"} <= result.rules
    return directory


def metrics(scored, run):
    return json.loads((scored / SEED.format(run) / "metrics.json").read_text())


def test_our_own_predictions_fed_back_have_the_same_scores(scored):
    ours, fed_back = metrics(scored, "scenes_tiny"), metrics(scored, "fed_back")
    kept = {
        name: value
        for name, value in ours["metrics"].items()
        if not name.startswith(NEEDS_EMBEDDING)
    }
    assert {"js_distance", "nll_calibrated", "ece_calibrated", "top3_accuracy"} <= set(kept)
    assert fed_back["metrics"] == kept
    assert fed_back["calibration"] == ours["calibration"]
    assert fed_back["per_class"] == ours["per_class"]
    assert fed_back["confusion_matrix"] == ours["confusion_matrix"]
    assert not (scored / SEED.format("fed_back") / "model_card.md").exists()


def test_scores_by_subgroup_add_up(scored):
    for run in ("scenes_tiny", "plain"):
        record = metrics(scored, run)
        parts = record["subgroups"]["sex"]["metrics"]["accuracy"]["scores"]
        assert set(parts) == {"female", "male"}
        assert sum(one["n"] for one in parts.values()) == record["data"]["n"]
        right = sum(one["value"] * one["n"] for one in parts.values())
        whole = record["metrics"]["accuracy"]["value"] * record["data"]["n"]
        assert right == pytest.approx(whole, abs=1e-4)
    card = (scored / SEED.format("scenes_tiny") / "model_card.md").read_text()
    page = (scored / "results/report/index.html").read_text()
    for text in (card, page):
        assert "By sex, the largest gap in accuracy is" in text


def test_predictions_of_others_fit_the_schema(scored, misfits):
    for run in ("fed_back", "plain"):
        assert misfits(scored / SEED.format(run) / "predictions.parquet", "entity") == []


def test_decisions_have_the_scores_of_decisions(scored):
    ours, plain = metrics(scored, "scenes_tiny")["metrics"], metrics(scored, "plain")
    assert plain["calibration"] is None
    assert plain["metrics"] == {name: ours[name] for name in DECISIONS}
    comparison = json.loads((scored / "results/entity/comparison.json").read_text())
    assert "plain" in [run["run"] for run in comparison["runs"]]
    page = " ".join(html.unescape((scored / "results/report/index.html").read_text()).split())
    assert "plain: Somebody else predicted these targets." in page
    assert "Scores of concentration and retrieval are left out" in page
    assert "There are no probabilities" in page


def test_the_referee_judges_spans(project):
    folder = project.directory("referee_spans")
    rows = [{"id": f"t{n}", **row} for n, row in enumerate(rows_of(60))]
    write(folder / "scenes.jsonl", rows)
    lines, right = ["id,label"], 0
    for n, row in enumerate(rows[:25]):
        for k, span in enumerate(row["spans"]):
            label = span["label"] if isinstance(span["label"], str) else span["label"][0]
            given = label if n % 5 else "awe"
            right += given == label
            lines.append(f"{row['id']}.{k},{given}")
    (folder / "theirs.csv").write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "affectlab", "referee", "entity", "--data", "scenes.jsonl"),
            *("--predictions", "theirs.csv", "--claim", "accuracy=0.99"),
        ],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert f"On 50 spans the accuracy is {right / 50:.3f}" in words
    assert "The claim is 0.990" in words
    assert "The strongest trivial baseline" in words
    assert "Scores of concentration and retrieval are left out" in words
