from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from affectlab.audio import evaluate
from affectlab.audio.evaluate import Predicted
from affectlab.core.errors import DataError, UserError
from affectlab.core.io import write_jsonl

BOOTSTRAP = {"resamples": 200, "level": 0.95, "seed": 0}


def predicted(items=60, classes=3, repeats=2, seed=0):
    generator = np.random.default_rng(seed)
    labels = np.arange(items) % classes
    scores = generator.standard_normal((repeats, items, classes))
    scores[:, np.arange(items), labels] += 1.0
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=2, keepdims=True)
    subjects = tuple(f"s{number // 6:02d}" for number in range(items))
    return Predicted(
        tuple(f"c{n:03d}" for n in range(items)), subjects, labels, probabilities, None
    )


def test_uar_is_the_balanced_accuracy_over_repeats():
    one = predicted()
    expected = [balanced_accuracy_score(one.labels, decisions) for decisions in one.decisions]
    score = evaluate.decision_scores(one, 3, BOOTSTRAP)["uar"]
    assert score.value == pytest.approx(np.mean(expected))
    assert score.each == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_a_class_that_is_only_predicted_does_not_lower_it():
    probabilities = np.eye(3)[[0, 0, 1, 2]][None]
    one = Predicted(tuple("abcd"), tuple("stuv"), np.array([0, 0, 1, 1]), probabilities, None)
    assert evaluate.decision_scores(one, 3, BOOTSTRAP)["uar"].value == 0.75
    assert balanced_accuracy_score([0, 0, 1, 1], [0, 0, 1, 2]) == 0.75


def test_an_area_that_most_resamples_lack_has_no_interval():
    """Of four classes two are spoken by one subject each, and seldom are both drawn."""
    subjects = [*"aabbccddeeffgghh", *"iijj"]
    labels = np.array([0, 1] * 8 + [2] * 2 + [3] * 2)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), (1, 20))
    ids = tuple(f"c{n:02d}" for n in range(20))
    one = Predicted(ids, tuple(subjects), labels, probabilities, None)
    found = evaluate.ranking_scores(one, 4, BOOTSTRAP)["auc"]
    assert found["ci"] is None
    expected = roc_auc_score(labels, probabilities[0], multi_class="ovr", average="macro")
    assert found["value"] == pytest.approx(expected)
    assert evaluate._line("auc", found).split()[:3] == ["auc", f"{expected:.4f}", "-"]


def test_the_interval_resamples_subjects():
    """Copying every clip of a subject adds no information, so the interval stays."""
    one = predicted()
    doubled = Predicted(
        (*one.ids, *(f"{name}+" for name in one.ids)),
        one.subjects * 2,
        np.tile(one.labels, 2),
        np.concatenate([one.probabilities] * 2, axis=1),
        None,
    )
    first, second = (
        evaluate.score_scheme(given, ["a", "b", "c"], BOOTSTRAP)["metrics"]["uar"]["ci"]
        for given in (one, doubled)
    )
    assert first == pytest.approx(second)


@pytest.mark.parametrize("classes", [2, 3])
def test_areas_are_those_of_scikit_learn(classes):
    one = predicted(classes=classes)
    found = evaluate.ranking_scores(one, classes, BOOTSTRAP)
    if classes == 2:
        areas = [roc_auc_score(one.labels, p[:, 1]) for p in one.probabilities]
        precision = [average_precision_score(one.labels, p[:, 1]) for p in one.probabilities]
        assert found["pr_auc"]["value"] == pytest.approx(np.mean(precision))
        assert found["pr_auc"]["baseline"]["value"] == 0.5
    else:
        areas = [
            roc_auc_score(one.labels, p, multi_class="ovr", average="macro")
            for p in one.probabilities
        ]
    assert found["auc"]["value"] == pytest.approx(np.mean(areas))


def gap(probabilities, labels, bins=10):
    """The expected calibration error, bin by bin."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    places = np.digitize(confidence, np.arange(1, bins) / bins, right=True)
    members = [places == place for place in np.unique(places)]
    gaps = [abs(right[m].mean() - confidence[m].mean()) * m.mean() for m in members]
    return sum(gaps)


def test_calibration_errors_are_the_mean_over_repeats():
    plain = predicted(repeats=3)
    assert set(evaluate.calibration_scores(plain, BOOTSTRAP)) == {"ece"}
    scaled = plain.probabilities**3
    one = replace(plain, calibrated=scaled / scaled.sum(axis=2, keepdims=True))
    found = evaluate.calibration_scores(one, BOOTSTRAP)
    for name, values in (("ece", one.probabilities), ("ece_calibrated", one.calibrated)):
        expected = np.mean([gap(each, one.labels) for each in values])
        assert found[name]["value"] == pytest.approx(expected)
        assert found[name]["direction"] == "lower"
        low, high = found[name]["ci"]
        assert 0 < low < high < 1
    assert found["ece"]["value"] != pytest.approx(found["ece_calibrated"]["value"], abs=0.01)


def test_ties_count_half():
    assert evaluate.roc_area(np.array([True, False, True]), np.array([1.0, 1.0, 2.0])) == 0.75
    assert np.isnan(evaluate.roc_area(np.array([True, True]), np.array([1.0, 2.0])))


def test_the_published_score_and_its_trivial_answers():
    one = predicted()
    found = evaluate.one_vs_rest_scores(one, ["a", "b", "c"], BOOTSTRAP)
    right = np.mean([(d == 0) == (one.labels == 0) for d in one.decisions])
    assert found["ovr_accuracy_a"]["value"] == pytest.approx(right)
    baseline = found["ovr_accuracy_a"]["baseline"]
    assert baseline == {"name": "never", "value": pytest.approx(2 / 3)}


def test_the_majority_is_the_baseline():
    labels = np.array([0, 0, 0, 1])
    found = evaluate.trivial_scores(labels, 2)
    assert found["accuracy"] == ("majority", 0.75)
    assert found["uar"] == ("majority", 0.5)


def test_every_constant_answer_has_its_scores():
    found = evaluate.constant_answers(np.array([0, 0, 0, 1]), ["no", "Yes!"])
    assert found["no"] == {
        "uar": 0.5,
        "accuracy": 0.75,
        "macro_f1": pytest.approx(3 / 7),
        "ovr_accuracy_no": 0.75,
        "ovr_accuracy_yes": 0.75,
    }
    assert found["Yes!"]["accuracy"] == found["Yes!"]["ovr_accuracy_yes"] == 0.25
    # Never saying it is right about two of three.
    thirds = evaluate.constant_answers(np.array([0, 1, 2]), ["a", "b", "c"])
    assert thirds["a"]["ovr_accuracy_b"] == pytest.approx(2 / 3)
    assert thirds["b"]["ovr_accuracy_b"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (["not_depressed", "Very sad"], ["not_depressed", "very_sad"]),
        (["悲", "喜"], ["class0", "class1"]),
        (["a b", "a-b"], ["class0", "class1"]),
    ],
)
def test_names_of_scores_are_plain(classes, names):
    assert evaluate.one_vs_rest_names(classes) == [f"ovr_accuracy_{name}" for name in names]


def test_a_class_that_does_not_occur_is_no_part_of_the_area():
    one = predicted(classes=3)
    kept = one.labels < 2
    some = Predicted(
        tuple(np.array(one.ids)[kept]),
        tuple(np.array(one.subjects)[kept]),
        one.labels[kept],
        one.probabilities[:, kept],
        None,
    )
    areas = [
        roc_auc_score(some.labels == place, values[:, place])
        for values in some.probabilities
        for place in (0, 1)
    ]
    found = evaluate.ranking_scores(some, 3, BOOTSTRAP)["auc"]["value"]
    assert found == pytest.approx(np.mean(areas))


def test_items_of_one_class_cannot_be_scored():
    one = predicted(classes=2)
    single = Predicted(one.ids, one.subjects, np.zeros_like(one.labels), one.probabilities, None)
    with pytest.raises(UserError, match="all 60 items that were predicted are of one class"):
        evaluate.ranking_scores(single, 2, BOOTSTRAP)


def test_a_run_does_not_differ_from_itself():
    one = predicted()
    score = evaluate._mean_over_repeats(evaluate.DECISIONS["uar"], 3)
    found = evaluate.paired(score, one, one, 3, BOOTSTRAP)
    assert found == (0.0, 0.0, 0.0)


def lines(**changes):
    line = {
        "id": "a",
        "subject": "s",
        "label": "yes",
        "scheme": "grouped",
        "repeat": 0,
        "probabilities": [0.5, 0.5],
    }
    return [line, line | {"id": "b"} | changes]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": "perhaps"}, "record 2"),
        ({"probabilities": [1.0]}, "record 2"),
        ({"id": "a"}, "a second line for 'a'"),
        ({"repeat": 1}, "not of the same items"),
    ],
)
def test_broken_predictions_are_named(tmp_path, changes, message):
    write_jsonl(tmp_path / "p.jsonl", lines(**changes))
    with pytest.raises(DataError, match=message):
        evaluate.read_predictions(tmp_path / "p.jsonl", ["no", "yes"])
