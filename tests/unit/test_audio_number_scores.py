"""Scores of probes of numbers: definitions, baselines, intervals, and predictions that are read."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error

from affectlab.audio import refits
from affectlab.audio.number_predictions import PredictedNumbers, read_number_predictions
from affectlab.audio.number_scores import score_numbers
from affectlab.audio.predictions import Corpus, Known
from affectlab.audio.scored import number_record
from affectlab.config.models import Bootstrap
from affectlab.errors import DataError
from affectlab.files.io import write_jsonl

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import coverage_numbers

NAMES = ("valence", "arousal")
BOOTSTRAP = Bootstrap(resamples=200)


def predicted(skill=0.8, repeats=3, subjects=10, clips=4, seed=0):
    generator = np.random.default_rng(seed)
    count = subjects * clips
    true = generator.normal([5, 50], [1, 10], (count, 2))
    noise = generator.normal(0, [1, 10], (repeats, count, 2))
    values = [5, 50] + skill * (true - [5, 50]) + (1 - skill) * noise
    return PredictedNumbers(
        tuple(f"c{number:02d}" for number in range(count)),
        tuple(f"s{number // clips}" for number in range(count)),
        true,
        values,
        np.tile([5.1, 49.0], (repeats, count, 1)),
        refits.SharedFolds(5, subjects),
    )


def concordance(ours, true):
    covariance = np.cov(ours, true, bias=True)[0, 1]
    return 2 * covariance / (ours.var() + true.var() + (ours.mean() - true.mean()) ** 2)


def test_scores_are_means_over_repeats_of_the_definitions():
    one = predicted()
    metrics = score_numbers(one, NAMES, BOOTSTRAP, {})["metrics"]
    for d, name in enumerate(NAMES):
        cccs = [concordance(values[:, d], one.true[:, d]) for values in one.values]
        errors = [mean_absolute_error(one.true[:, d], values[:, d]) for values in one.values]
        assert metrics[f"{name}_ccc"]["value"] == pytest.approx(np.mean(cccs))
        assert metrics[f"{name}_mae"]["value"] == pytest.approx(np.mean(errors))
    for kind in ("ccc", "mae"):
        each = [metrics[f"{name}_{kind}"]["value"] for name in NAMES]
        assert metrics[kind]["value"] == pytest.approx(np.mean(each))
    assert metrics["ccc"]["direction"] == "higher"
    assert metrics["mae"]["direction"] == "lower"


def test_the_strongest_baseline_is_that_of_each_score():
    one = predicted()
    by_length = one.values.copy()
    by_length[:, :, 0] = 5.0
    length = replace(one, values=by_length[:1], training_means=one.training_means[:1])
    record = number_record({"grouped": one, "duration": length}, "grouped", NAMES, BOOTSTRAP)
    metrics = record["metrics"]
    assert metrics["arousal_ccc"]["baseline"]["name"] == "duration"
    expected = concordance(by_length[0, :, 1], one.true[:, 1])
    assert metrics["arousal_ccc"]["baseline"]["value"] == pytest.approx(expected)
    # A constant has no concordance.
    assert metrics["valence_ccc"]["baseline"] == {"name": "training_mean", "value": 0.0}
    error = min(np.abs(one.true[:, 0] - 5.1).mean(), np.abs(one.true[:, 0] - 5.0).mean())
    assert metrics["valence_mae"]["baseline"]["value"] == pytest.approx(error)
    own = record["other_splits"]["duration"]["metrics"]["arousal_ccc"]
    assert own["baseline"]["name"] == "training_mean"


@pytest.mark.parametrize("skill", [0.0, 0.3, 0.97])
@pytest.mark.parametrize("kind", ["folds", "single"])
def test_intervals_hold_the_score_and_stay_in_its_range(skill, kind):
    one = predicted(skill)
    one = one if kind == "folds" else replace(one, refits=None)
    for name, entry in score_numbers(one, NAMES, BOOTSTRAP, {})["metrics"].items():
        low, high = entry["ci"]
        assert low < entry["value"] < high
        assert (low > -1 and high < 1) if name.endswith("ccc") else low > 0


@pytest.mark.parametrize("values", ["right", "constant"])
def test_scores_without_variance_have_an_interval_with_a_width(values):
    one = predicted(repeats=1)
    exact = one.true[None] if values == "right" else np.zeros((1, *one.true.shape))
    entry = score_numbers(replace(one, values=exact), NAMES, BOOTSTRAP, {})["metrics"]["ccc"]
    assert entry["value"] == pytest.approx(1 if values == "right" else 0)
    assert entry["ci"][1] - entry["ci"][0] > 1e-6


def test_refits_widen_the_interval():
    one = predicted(0.5)
    folds, single = (
        score_numbers(replace(one, refits=given), NAMES, BOOTSTRAP, {})["metrics"]["ccc"]["ci"]
        for given in (refits.SharedFolds(5, 10), None)
    )
    # The square root of 1 + 5 / 4, on the scale of Fisher's z.
    wide, narrow = np.ptp(np.arctanh(folds)), np.ptp(np.arctanh(single))
    assert wide / narrow == pytest.approx(1.5, rel=1e-6)


def test_intervals_of_simulated_data_sets_have_their_width():
    """24 subjects of 8 clips: 12 data sets; benchmarks/coverage_numbers.py has the table."""
    shape = coverage_numbers.SHAPES[2]
    found = [
        coverage_numbers.simulate(shape, np.random.default_rng([3, number]))["ccc"]
        for number in range(12)
    ]
    values, low, high = np.array(found).T
    ratio = (high - low).mean() / (2 * 1.96 * values.std(ddof=1))
    assert 0.7 < ratio < 1.8
    assert ((low < values.mean()) & (values.mean() < high)).sum() >= 9


# --- stored predictions


def line(name, place, **changes):
    row = {
        "id": name,
        "subject": "s",
        "values": {"valence": float(place), "arousal": 2.0},
        "scheme": "grouped",
        "repeat": 0,
        "prediction": {"valence": 1.0, "arousal": 2.5},
        "training_mean": {"valence": 0.5, "arousal": 2.0},
    }
    return {key: value for key, value in {**row, **changes}.items() if value is not None}


def read(tmp_path, *rows):
    path = tmp_path / "predictions.jsonl"
    write_jsonl(path, rows, sealed=True)
    known = {name: Known("s", (float(place), 2.0), None) for place, name in enumerate("ab")}
    return read_number_predictions(path, NAMES, Corpus(known, known), "grouped")["grouped"]


def test_predictions_are_read_by_name(tmp_path):
    found = read(tmp_path, line("b", 1), line("a", 0))
    assert found.ids == ("a", "b")
    assert found.true.tolist() == [[0, 2], [1, 2]]
    assert found.values.tolist() == [[[1, 2.5], [1, 2.5]]]
    assert found.training_means.tolist() == [[[0.5, 2], [0.5, 2]]]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"values": {"valence": 5.0, "arousal": 2.0}}, "the values are not those of the records"),
        ({"prediction": {"valence": 1.0}}, "expected a number for each of valence"),
        ({"prediction": {"valence": 1.0, "arousal": "x"}}, "expected a number"),
        ({"training_mean": None}, "training_mean: expected in all predictions of grouped"),
        ({"subject": "t"}, "the subject 't' is not that of the records"),
    ],
)
def test_impossible_predictions_are_refused(tmp_path, changes, problem):
    with pytest.raises(DataError, match=problem):
        read(tmp_path, line("a", 0), line("b", 1, **changes))
