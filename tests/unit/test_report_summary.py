"""The short table at the end of the demo."""

import pytest

from affectlab.core.errors import DataError
from affectlab.report.results import results_csv
from affectlab.report.summary import summarise

ROW = {
    "kind": "ours",
    "wing": "emotion",
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


def write(folder, text):
    (folder / "tables").mkdir()
    (folder / "tables" / "results.csv").write_text(text)


def test_our_headline_scores_are_shown_with_interval_and_baseline(tmp_path):
    published = {"kind": "published", "wing": "emotion", "metric": "accuracy", "value": 0.5}
    other = ROW | {"metric": "nll", "headline": False}
    write(tmp_path, results_csv([ROW, other, published]))
    header, line, _, report = summarise(tmp_path).split("\n")
    assert line.split() == [
        *("emotion", "minilm", "emotion", "2000", "3", "accuracy", "0.931"),
        *("[0.920,", "0.942]", "0.347", "(majority)"),
    ]
    assert header.index("metric") == line.index("accuracy")
    assert report == f"Report: {tmp_path.resolve()}/report/index.html"


def test_a_score_without_interval_or_baseline_is_shown_alone(tmp_path):
    row = ROW | dict.fromkeys(("ci_low", "ci_high", "baseline", "baseline_value"))
    write(tmp_path, results_csv([row]))
    line = summarise(tmp_path).split("\n")[1]
    assert line.split() == ["emotion", "minilm", "emotion", "2000", "3", "accuracy", "0.931"]


def test_a_table_without_a_column_is_named(tmp_path):
    write(tmp_path, results_csv([ROW]).replace("ci_low", "low", 1))
    with pytest.raises(DataError, match=r"results\.csv, line 1: expected a column ci_low"):
        summarise(tmp_path)


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        summarise(tmp_path)
