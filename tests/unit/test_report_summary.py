"""The short table at the end of the demo, and the same for other programs."""

import json

import pytest

from affectlab import cli
from affectlab.errors import DataError
from affectlab.files.io import write_json
from affectlab.report.results import SeedResult, results_csv, split_means
from affectlab.report.results_file import read_results
from affectlab.report.summary import summarise
from affectlab.summary import report as summary

ROW = {
    "kind": "ours",
    "experiment": "emotion",
    "run": "minilm",
    "data": "emotion",
    "n": 2000,
    "seeds": "13 42 71",
    "metric": "accuracy",
    "value": 0.9314,
    "ci_low": 0.9201,
    "ci_high": 0.9418,
    "baseline": "majority",
    "baseline_value": 0.3475,
    "headline": True,
}

PUBLISHED = {
    "kind": "published",
    "experiment": "face",
    "run": "theirs",
    "data": "fer2013",
    "metric": "accuracy",
    "value": 0.5,
}


def write(folder, text):
    (folder / "tables").mkdir()
    (folder / "tables" / "results.csv").write_text(text)


def shown(folder, width=None):
    return summarise(folder, read_results(folder), width)


def test_our_headline_scores_are_shown_with_interval_and_baseline(tmp_path):
    published = PUBLISHED | {"experiment": "emotion"}
    other = ROW | {"metric": "nll", "headline": False}
    write(tmp_path, results_csv([ROW, other, published]))
    header, line, _, note, _, report, own = shown(tmp_path).split("\n")
    assert note.startswith("Intervals cover other items;")
    assert line.split() == [
        *("emotion", "minilm", "emotion", "2000", "3", "accuracy", "0.931"),
        *("0.920–0.942", "0.347", "(commonest", "class)"),
    ]
    assert header.index("score") == line.index("accuracy")
    assert report == f"Report: {tmp_path.resolve()}/report/index.html"
    assert own.startswith("Use your own data: affectlab init")


@pytest.mark.parametrize(("covers", "mark"), [("items", ""), ("items and seeds", "*")])
def test_an_interval_over_seeds_is_marked(tmp_path, covers, mark):
    write(tmp_path, results_csv([ROW | {"interval_covers": covers}]))
    assert f"0.920–0.942{mark}  " in shown(tmp_path).split("\n")[1]


def test_a_score_without_interval_or_baseline_is_shown_alone(tmp_path):
    row = ROW | dict.fromkeys(("ci_low", "ci_high", "baseline", "baseline_value"))
    write(tmp_path, results_csv([row]))
    line = shown(tmp_path).split("\n")[1]
    assert line.split() == ["emotion", "minilm", "emotion", "2000", "3", "accuracy", "0.931"]


def test_a_run_has_one_line_and_a_model_to_ask(tmp_path):
    rows = [ROW, ROW | {"metric": "macro_f1"}, ROW | {"run": "tfidf", "below_baseline": True}]
    write(tmp_path, results_csv(rows))
    (tmp_path / "emotion" / "minilm" / "seed13" / "model").mkdir(parents=True)
    lines = shown(tmp_path).split("\n")
    assert [line.split()[1] for line in lines[1:3]] == ["minilm", "tfidf"]
    assert lines[2].endswith("below baseline")
    assert f"predict emotion --model {tmp_path}/emotion/minilm/seed13/model " in lines[-2]


@pytest.mark.parametrize("width", [100, 80, 60, 45])
def test_a_narrow_terminal_gets_fewer_columns(tmp_path, width):
    write(tmp_path, results_csv([ROW | {"below_baseline": True}]))
    table = shown(tmp_path, width).split("\n")[:2]
    assert max(map(len, table)) <= width
    for needed in ("minilm", "accuracy", "0.931", "below baseline"):
        assert needed in table[1]


def test_other_programs_get_every_value(tmp_path, capsys):
    published = PUBLISHED | {"verified": True}
    rows = [ROW, ROW | {"metric": "nll", "headline": False}, published]
    write(tmp_path, results_csv(rows))
    assert cli.main(["results", str(tmp_path), "--json"]) == 0
    first, second, third = json.loads(capsys.readouterr().out)
    assert first["seeds"] == [13, 42, 71]
    assert (first["value"], first["n"], first["sd"]) == (0.9314, 2000, None)
    assert (second["headline"], third["verified"], third["seeds"]) == (False, True, None)
    assert cli.main(["results", str(tmp_path), "--csv"]) == 0
    assert capsys.readouterr().out == results_csv(rows)
    assert cli.main(["results", str(tmp_path), "--json", "--headline"]) == 0
    assert [row["metric"] for row in json.loads(capsys.readouterr().out)] == ["accuracy"]
    assert cli.main(["results", str(tmp_path), "--markdown", "--experiment", "emotion"]) == 0
    header, line, *scores = capsys.readouterr().out.splitlines()
    assert header.startswith("| experiment | run |")
    assert set(line) == set("| -")
    assert len(scores) == 2
    assert cli.main(["results", str(tmp_path), "--experiment", "audio"]) == 2
    assert "there are results of emotion, face" in capsys.readouterr().err


def test_a_table_without_a_column_is_named(tmp_path):
    write(tmp_path, results_csv([ROW]).replace("ci_low", "low", 1))
    with pytest.raises(DataError, match=r"results\.csv, line 1: expected a column ci_low"):
        shown(tmp_path)


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        shown(tmp_path)


def test_the_command_line_prints_the_table_of_a_folder(tmp_path, monkeypatch, capsys):
    (tmp_path / "results").mkdir()
    write(tmp_path / "results", results_csv([ROW]))
    assert cli.main(["results", str(tmp_path / "results")]) == 0
    printed = capsys.readouterr().out
    assert "minilm" in printed.split("\n")[1]
    assert printed == shown(tmp_path / "results") + "\n"
    monkeypatch.chdir(tmp_path)
    assert cli.main(["results"]) == 0
    assert capsys.readouterr().out == printed
    assert cli.main(["results", "elsewhere"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "affectlab: elsewhere/tables/results.csv: no such file\n"


def seed_result(folder, **metrics):
    record = {
        "data": {"name": "made", "split": "test", "n": 9},
        "method": "lora",
        "metrics": {name: {"value": value} for name, value in metrics.items()},
        "other_splits": {},
    }
    return SeedResult(folder=folder, metrics=record, run_record={}, export=None)


def test_a_score_that_one_seed_lacks_has_no_mean(tmp_path):
    """As a rank correlation has where one side is constant."""
    seeds = [seed_result(tmp_path, accuracy=0.5, rank=0.1), seed_result(tmp_path, accuracy=0.7)]
    assert split_means(seeds) == {"test": {"accuracy": pytest.approx(0.6)}}
    assert split_means(seeds[::-1]) == split_means(seeds)


def test_side_results_of_an_earlier_configuration_are_not_shown(tmp_path):
    """They may still be in the folder; the evaluation merged only what is configured."""
    seed = seed_result(tmp_path / "run" / "seed0", rouge2=0.1)
    write_json(seed.folder / "judge.json", {"metrics": {"judge_score": {"value": 3.5}}})
    view = summary._run_view(tmp_path, "run", [seed], [])
    assert view["usage"] is None
