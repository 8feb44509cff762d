"""Labels of three annotators, from the table to report, card and prediction."""

import html
import json
import os

import krippendorff
import pytest
import yaml
from own_targets import SMALL, TINY_RUN, voted_rows, write_table

from affectlab import cli

ANNOTATORS = ["ann", "ben", "cleo"]


@pytest.fixture(scope="module")
def rows():
    return list(voted_rows(520))


def alpha_of(rows):
    """Krippendorff's alpha from the raw votes, a row for each annotator."""
    numbers = {"": float("nan"), "anger": 0, "calm": 1, "joy": 2}
    data = [[numbers[row[2 + place]] for row in rows] for place in range(3)]
    return krippendorff.alpha(reliability_data=data, level_of_measurement="nominal")


def test_a_table_with_three_annotators(project, rows, capsys, misfits, monkeypatch):
    directory = project.directory("annotators")
    write_table(directory / "votes.csv", ["nr", "post", *ANNOTATORS], rows)
    monkeypatch.chdir(directory)
    assert cli.main(["init", "emotion", "votes.csv"]) == 0
    proposed = capsys.readouterr().out
    assert sum(not line.startswith("#") for line in proposed.splitlines()) <= 20
    assert yaml.safe_load(proposed)["datasets"]["votes"]["columns"]["label"] == ANNOTATORS
    (directory / "mine.yaml").write_text(proposed)
    small = {**SMALL, "emotion": {**SMALL["emotion"], "runs": {"votes_minilm": TINY_RUN}}}
    overlays = [directory / "mine.yaml", project.write_overlay("annotators_small", small)]
    result = project.snakemake(directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    results = directory / "results"
    folder = results / "emotion"

    agreed = json.loads((folder / "data" / "votes" / "audit.json").read_text())["agreement"]
    assert agreed["annotators"] == 3
    assert agreed["items"] == 520
    assert agreed["alpha"] == pytest.approx(alpha_of(rows), abs=1e-6)
    report = html.unescape((results / "report" / "index.html").read_text())
    assert report.count(agreed["sentence"]) >= 2
    comparison = json.loads((folder / "comparison.json").read_text())
    assert [run["run"] for run in comparison["runs"]] == ["votes_tfidf", "votes_minilm"]
    for run, seed in (("votes_tfidf", 0), ("votes_minilm", 42)):
        own = folder / run / f"seed{seed}"
        assert agreed["sentence"] in (own / "model_card.md").read_text()
        assert misfits(own / "predictions.jsonl", "emotion") == []
        accuracy = json.loads((own / "metrics.json").read_text())["metrics"]["accuracy"]
        assert accuracy["ci"][0] < accuracy["value"] < accuracy["ci"][1]
        assert accuracy["baseline"]["value"] < 1
        model = os.fspath(own / "model")
        assert cli.main(["predict", "emotion", "--model", model, "they were laughing"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert set(answer["probabilities"]) == {"anger", "calm", "joy"}
    # Each text has a word of its class.
    assert comparison["runs"][0]["metrics"]["accuracy"]["mean"] > 0.8
