"""Texts with several classes, from the table to report, card and prediction."""

import html
import json
import os

import yaml
from card_checks import check_card
from own_targets import FEELINGS, SMALL, TINY_RUN, tagged_rows, write_table

from affectlab import cli


def proposed(directory, capsys, monkeypatch):
    """What `affectlab init` prints for the table, as a file."""
    monkeypatch.chdir(directory)
    assert cli.main(["init", "emotion", "tagged.csv"]) == 0
    text = capsys.readouterr().out
    assert sum(not line.startswith("#") for line in text.splitlines()) <= 20
    (directory / "mine.yaml").write_text(text)
    return yaml.safe_load(text), directory / "mine.yaml"


def test_a_table_whose_cells_list_several_classes(project, capsys, misfits, monkeypatch):
    directory = project.directory("multilabel")
    rows = list(tagged_rows(520))
    # The same text in two spellings: one group, so in one split.
    rows[5][0] = rows[4][0].upper()
    # An author in two spellings, and a near duplicate.
    rows[6][1] = rows[6][1].upper()
    rows[9][0], rows[10][0] = (
        "we sat 5 hours in the bus and sang",
        "We sat 12 hours in the bus and sang!",
    )
    write_table(directory / "tagged.csv", ["post", "author", "feelings"], rows)
    overlay, path = proposed(directory, capsys, monkeypatch)
    entry = overlay["datasets"]["tagged"]
    assert (entry["target"], entry["classes"]) == ("classes", sorted(FEELINGS))
    runs = {"tagged_minilm": TINY_RUN}
    small = {**SMALL, "emotion": {**SMALL["emotion"], "runs": runs}}
    result = project.snakemake(
        directory=directory, overlays=[path, project.write_overlay("multilabel_small", small)]
    )
    assert result.status == 0, result.output
    results = directory / "results"
    folder = results / "emotion"

    audit = json.loads((folder / "data" / "tagged" / "audit.json").read_text())
    traps = {trap["name"]: trap["sentence"] for trap in audit["traps"]}
    assert {"name_in_two_spellings", "near_duplicates"} <= set(traps)
    sizes = {split: part["records"] for split, part in audit["counts"].items()}
    assert sum(sizes.values()) == 520
    report = html.unescape((results / "report" / "index.html").read_text())
    comparison = json.loads((folder / "comparison.json").read_text())
    assert comparison["headline"] == ["macro_f1", "exact_match"]
    assert set(comparison["pairs"][0]["differences"]) == {"macro_f1", "exact_match"}
    assert "tagged_tfidf, the run with the highest validation macro-F1, has a macro-F1 of" in report
    assert "test texts with any of 4 classes" in report
    for run, seed in (("tagged_tfidf", 0), ("tagged_minilm", 42)):
        own = folder / run / f"seed{seed}"
        assert misfits(own / "predictions.jsonl", "emotion") == []
        record = json.loads((own / "metrics.json").read_text())
        check_metrics(record, sizes["test"])
        card = check_card(own)
        for sentence in (*traps.values(), "A text may have several classes, or none."):
            assert sentence in card
        assert (own / "figures" / "precision_recall.svg").stat().st_size > 0
        model = os.fspath(own / "model")
        assert cli.main(["predict", "emotion", "--model", model, "they were laughing"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert set(answer["labels"]) <= set(answer["probabilities"]) == set(FEELINGS)
    words = comparison["runs"][0]["metrics"]
    assert words["macro_f1"]["mean"] > 0.9


def check_metrics(record, n):
    """Every score has a baseline and an interval around its value."""
    assert (record["data"]["n"], record["data"]["target"]) == (n, "classes")
    names = {"macro_f1", "micro_f1", "exact_match", "mean_average_precision"}
    assert set(record["metrics"]) == names
    for name, entry in record["metrics"].items():
        low, high = entry["ci"]
        assert low <= entry["value"] <= high, name
        assert low < high
        assert entry["baseline"] is not None
    assert set(record["per_class"]) == set(FEELINGS)
