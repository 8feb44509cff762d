"""Valence and arousal of texts, from the table to report, card and prediction."""

import html
import json
import os
from statistics import mean

import pytest
import yaml
from card_checks import check_card
from example_programs import run_example
from own_targets import SMALL, TINY_RUN, rated_rows, write_table

from affectlab import cli

COLUMNS = ["post", "author", "valence", "arousal"]


def proposed(directory, capsys, monkeypatch):
    """What `affectlab init` prints for the table, as a file."""
    monkeypatch.chdir(directory)
    assert cli.main(["init", "emotion", "rated.csv"]) == 0
    text = capsys.readouterr().out
    assert sum(not line.startswith("#") for line in text.splitlines()) <= 20
    (directory / "mine.yaml").write_text(text)
    return yaml.safe_load(text), directory / "mine.yaml"


def test_a_table_with_valence_and_arousal(project, capsys, misfits, monkeypatch):
    directory = project.directory("numbers")
    rows = list(rated_rows(520))
    # The same text in two spellings: one group, so in one split.
    rows[5][0] = rows[4][0].upper()
    # An author in two spellings, and a near duplicate.
    rows[6][1] = rows[6][1].upper()
    rows[9][0], rows[10][0] = (
        "we sat 5 hours in the bus and sang",
        "We sat 12 hours in the bus and sang!",
    )
    write_table(directory / "rated.csv", COLUMNS, rows)
    overlay, path = proposed(directory, capsys, monkeypatch)
    assert overlay["datasets"]["rated"]["target"] == "numbers"
    assert overlay["datasets"]["rated"]["columns"]["label"] == ["valence", "arousal"]
    small = {**SMALL, "emotion": {**SMALL["emotion"], "runs": {"rated_minilm": TINY_RUN}}}
    result = project.snakemake(
        directory=directory, overlays=[path, project.write_overlay("numbers_small", small)]
    )
    assert result.status == 0, result.output
    results = directory / "results"
    folder = results / "emotion"

    audit = json.loads((folder / "data" / "rated" / "audit.json").read_text())
    traps = {trap["name"]: trap["sentence"] for trap in audit["traps"]}
    planted = {"name_in_two_spellings", "near_duplicates", "condition_predicts_number"}
    assert planted <= set(traps)
    # The longer words of the generator are those of high arousal.
    arousal = [trap["sentence"] for trap in audit["traps"] if "number arousal" in trap["sentence"]]
    assert "characters" in arousal[0]
    sizes = {split: part["records"] for split, part in audit["counts"].items()}
    assert sum(sizes.values()) == 520
    report = html.unescape((results / "report" / "index.html").read_text())
    comparison = json.loads((folder / "comparison.json").read_text())
    assert comparison["headline"] == ["ccc", "mae"]
    assert [run["run"] for run in comparison["runs"]] == ["rated_tfidf", "rated_minilm"]
    assert set(comparison["pairs"][0]["differences"]) == {"ccc", "mae"}
    assert "predicts valence and arousal of" in report
    for run, seed in (("rated_tfidf", 0), ("rated_minilm", 42)):
        own = folder / run / f"seed{seed}"
        assert misfits(own / "predictions.jsonl", "emotion") == []
        record = json.loads((own / "metrics.json").read_text())
        check_metrics(record, sizes["test"])
        card = check_card(own)
        for sentence in (*traps.values(), "valence, arousal of texts"):
            assert sentence in card
        assert (own / "figures" / "predicted_values.svg").stat().st_size > 0
        assert "| concordance of valence | " in card
        model = os.fspath(own / "model")
        assert cli.main(["predict", "emotion", "--model", model, "they were cheering"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert list(answer["values"]) == ["valence", "arousal"]
        shown = "\t".join(f"{name} {value:.3f}" for name, value in answer["values"].items())
        assert run_example(own, "they were cheering") == [f"{shown}\tthey were cheering"]
    words = comparison["runs"][0]["metrics"]
    assert words["ccc"]["mean"] > 0.8
    # In units of the data, about the middle of the scale.
    lines = (folder / "rated_minilm/seed42/predictions.jsonl").read_text().splitlines()
    assert mean(json.loads(line)["prediction"]["valence"] for line in lines) == pytest.approx(
        5, abs=2
    )


def check_metrics(record, n):
    """Every score has a baseline and an interval around its value."""
    assert record["data"]["numbers"] == ["valence", "arousal"]
    assert record["data"]["n"] == n
    kinds = ("ccc", "mae")
    names = {f"{stem}{kind}" for kind in kinds for stem in ("", "valence_", "arousal_")}
    assert set(record["metrics"]) == names
    for name, entry in record["metrics"].items():
        low, high = entry["ci"]
        assert low <= entry["value"] <= high, name
        assert low < high
        assert entry["baseline"]["name"] in ("training_mean", "conditions")
    # The length tells the arousal, so it is the baseline to beat.
    baseline = record["metrics"]["arousal_ccc"]["baseline"]
    assert baseline["name"] == "conditions"
    assert baseline["value"] > 0.5


def test_few_texts_with_numbers_are_cross_validated(project, capsys, misfits, monkeypatch):
    directory = project.directory("few_numbers")
    write_table(directory / "rated.csv", COLUMNS, rated_rows(90))
    overlay, path = proposed(directory, capsys, monkeypatch)
    assert overlay["datasets"]["rated"]["split"] == {"folds": 5}
    # Word counts alone: the folds of networks are those of other data.
    only = {**SMALL, "emotion": {**SMALL["emotion"], "selected": ["rated_tfidf"]}}
    result = project.snakemake(
        directory=directory, overlays=[path, project.write_overlay("few_numbers_only", only)]
    )
    assert result.status == 0, result.output
    own = directory / "results" / "emotion" / "rated_tfidf" / "seed0"
    assert misfits(own / "predictions.jsonl", "emotion") == []
    rows = [json.loads(line) for line in (own / "predictions.jsonl").read_text().splitlines()]
    assert sorted(row["id"] for row in rows if row["split"] == "test") == [
        f"{number:05d}" for number in range(1, 91)
    ]
    record = json.loads((own / "metrics.json").read_text())
    assert (record["data"]["split"], record["data"]["n"]) == ("cross-validation", 90)
    assert record["metrics"]["ccc"]["value"] > 0.7
    report = html.unescape((directory / "results" / "report" / "index.html").read_text())
    assert "Each text was predicted by a model that was trained without its fold." in report
    assert "cross-validated in 5 folds" in (own / "model_card.md").read_text()
