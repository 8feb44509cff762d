import csv
import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from emotion_tables import converted, data_in, data_of

from affectlab.datasets.texts import normalise_text
from affectlab.emotion import convert as conversion
from affectlab.emotion import noise
from affectlab.emotion.data import CLASSES, Record
from affectlab.samples.emotion import write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noise")
    planted = write_corpus(
        folder / "raw", seed=1, train=1500, conflicting=20, duplicates=10, variants=10
    )
    converted(folder / "raw", folder)
    return folder, planted


@pytest.fixture(scope="module")
def data(corpus):
    folder, _ = corpus
    return data_in(folder)


@pytest.fixture(scope="module")
def records(data):
    return data.of_split("train")


@pytest.fixture(scope="module")
def probabilities(data):
    return noise.out_of_fold_probabilities(data, folds=5, seed=0)


def make_data(labels, texts=None):
    return data_of(
        Record(f"train-{n + 1:05d}", texts[n] if texts else f"text {n}", CLASSES[label], "train")
        for n, label in enumerate(labels)
    )


def test_probabilities_are_probabilities(records, probabilities):
    assert probabilities.shape == (len(records), len(CLASSES))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
    labels = np.array([CLASSES.index(record.label) for record in records])
    assert 0.7 < np.mean(probabilities.argmax(axis=1) == labels) < 0.95


def test_no_text_is_judged_by_a_model_that_saw_it(data, monkeypatch):
    """Twins, variants in capitals included, are held out together."""
    seen, judged = [], []

    class Spy:
        classes_ = np.arange(len(CLASSES))

        def predict_proba(self, texts):
            judged.append({normalise_text(text) for text in texts})
            return np.full((len(texts), len(CLASSES)), 1 / len(CLASSES))

    def fit(pipeline, texts, labels):
        seen.append({normalise_text(text) for text in texts})
        return Spy()

    monkeypatch.setattr(noise, "fit", fit)
    noise.out_of_fold_probabilities(data, folds=5, seed=0)
    assert len(seen) == 5
    for trained_on, held_out in zip(seen, judged, strict=True):
        assert held_out
        assert not trained_on & held_out
    assert set().union(*judged) == {
        normalise_text(record.text) for record in data.of_split("train")
    }


def test_it_finds_planted_wrong_labels(corpus, data, records, probabilities):
    _, planted = corpus
    wrong = {name for name in planted.wrong_label_ids if name.startswith("train")}
    summary, rows = noise.find_label_noise(data, probabilities)
    flagged = {row["id"] for row in rows if row["is_issue"]}
    base_rate = len(wrong) / len(records)
    assert len(flagged & wrong) / len(flagged) > 4 * base_rate
    assert len(flagged & wrong) / len(wrong) > 0.5
    lowest = {row["id"] for row in rows[: len(wrong)]}
    assert len(lowest & wrong) / len(wrong) > 0.4
    assert summary["issues"] == len(flagged)
    # 58 wrong labels, and 20 copies with a second one: 5 % of 1,500.
    assert 0.02 < summary["noise_rate"] < 0.12


def test_self_check_beats_chance(data, probabilities):
    summary, _ = noise.find_label_noise(data, probabilities)
    check = summary["conflicting_texts"]
    assert check["texts"] == 20
    assert check["lowest"] == summary["issues"]
    assert check["in_lowest"] > 2 * check["expected_by_chance"]


def test_confident_joint_by_hand():
    """The definition of Northcutt et al., section 3.1, computed here with loops."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 6, size=400)
    probabilities = rng.dirichlet(np.ones(6) * 0.5, size=400)
    probabilities[np.arange(400), labels] += 1.0
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    thresholds = [probabilities[labels == k, k].mean() for k in range(6)]
    counts = np.zeros((6, 6))
    for label, row in zip(labels, probabilities, strict=True):
        above = [k for k in range(6) if row[k] >= thresholds[k]]
        if above:
            counts[label, max(above, key=lambda k: row[k])] += 1
    given = np.bincount(labels, minlength=6)
    joint = counts / counts.sum(axis=1, keepdims=True) * given[:, None] / given.sum()

    summary, _ = noise.find_label_noise(make_data(labels), probabilities)
    found = np.array([[summary["joint"][g][t] for t in CLASSES] for g in CLASSES])
    np.testing.assert_allclose(found, joint, atol=2 / 400)  # the library rounds to whole counts
    assert summary["noise_rate"] == pytest.approx(1 - np.trace(joint), abs=6 / 400)
    assert found.sum() == pytest.approx(1.0, abs=1e-4)


def test_rows_by_hand():
    labels = [k for k in range(6) for _ in range(10)]
    probabilities = np.full((60, 6), 0.02)
    probabilities[np.arange(60), labels] = 0.9
    probabilities[25] = [0.01, 0.95, 0.01, 0.01, 0.01, 0.01]  # given love, surely joy
    probabilities[3] = [0.5, 0.1, 0.1, 0.1, 0.1, 0.1]  # doubtful, yet no other label
    summary, rows = noise.find_label_noise(make_data(labels), probabilities)
    assert rows[0] == {
        "id": "train-00026",
        "label": "love",
        "suggested_label": "joy",
        "label_quality": 0.01,
        "is_issue": 1,
    }
    assert (rows[1]["id"], rows[1]["label_quality"], rows[1]["is_issue"]) == ("train-00004", 0.5, 0)
    assert [row["id"] for row in rows[2:5]] == ["train-00001", "train-00002", "train-00003"]
    assert len(rows) == 60
    assert summary["issues"] == 1
    assert summary["issues_by_class"] == {name: int(name == "love") for name in CLASSES}
    assert summary["out_of_fold_accuracy"] == pytest.approx(59 / 60, abs=1e-6)


def test_self_check_by_hand():
    labels = [k for k in range(6) for _ in range(10)]
    texts = [f"text {n}" for n in range(60)]
    texts[25] = texts[12].upper()  # love and joy: a conflict, found
    texts[40] = texts[50]  # fear and surprise: a conflict, not found
    texts[30] = texts[31]  # anger twice: no conflict
    probabilities = np.full((60, 6), 0.02)
    probabilities[np.arange(60), labels] = 0.9
    probabilities[25] = [0.01, 0.95, 0.01, 0.01, 0.01, 0.01]
    summary, _ = noise.find_label_noise(make_data(labels, texts), probabilities)
    assert summary["conflicting_texts"] == {
        "texts": 2,
        "lowest": 1,
        "in_lowest": 1,
        "flagged": 1,
        # two texts with two records each, one of 60 records drawn
        "expected_by_chance": round(2 * (1 - (59 / 60) ** 2), 2),
    }


def test_files(corpus, data, records):
    folder, _ = corpus
    for name in ("a", "b"):
        noise.write_label_noise(
            data,
            folder / name / "label_noise.json",
            folder / name / "label_noise.csv",
            folds=3,
            seed=1,
        )
    for name in ("label_noise.json", "label_noise.csv"):
        assert (folder / "a" / name).read_bytes() == (folder / "b" / name).read_bytes()
    summary = json.loads((folder / "a" / "label_noise.json").read_text())
    assert (summary["folds"], summary["seed"], summary["records"]) == (3, 1, 1500)
    with (folder / "a" / "label_noise.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == noise.COLUMNS
    assert {row["id"] for row in rows} == {record.id for record in records}
    qualities = [float(row["label_quality"]) for row in rows]
    assert qualities == sorted(qualities)


def written(data, folder, folds):
    noise.write_label_noise(data, folder / "a.json", folder / "a.csv", folds=folds, seed=0)
    with (folder / "a.csv").open() as stream:
        return json.loads((folder / "a.json").read_text()), list(csv.DictReader(stream))


def test_a_rare_class_lowers_the_number_of_folds(records, tmp_path):
    few = [record for record in records if record.label != "surprise"][:200]
    few += [record for record in records if record.label == "surprise"][:3]
    summary, rows = written(data_of(few), tmp_path, folds=4)
    assert summary["folds"] == 3
    assert len(rows) == summary["records"] == 203


def test_texts_are_counted_once_for_the_folds(tmp_path):
    labels = [k for k in range(6) for _ in range(4)]
    texts = [f"text {n}" for n in range(24)]
    texts[20:24] = ["a twin", "A  twin", "a twin", "another"]
    assert written(make_data(labels, texts), tmp_path, folds=3)[0]["folds"] == 2


def test_a_class_of_one_text_leaves_nothing_to_search(tmp_path):
    labels = [k for k in range(6) for _ in range(4)]
    texts = [f"text {n}" for n in range(24)]
    texts[20:24] = ["a twin", "A  twin", "a twin", "a twin"]
    summary, rows = written(make_data(labels, texts), tmp_path, folds=3)
    assert summary["skipped"] == "the class surprise has 1 different text"
    assert rows == []
    assert "noise_rate" not in summary


def test_of_a_cross_validation_every_record_is_searched(data, tmp_path):
    records = [replace(one, fold=n % 3) for n, one in enumerate(data.records[:600])]
    summary, rows = written(data_of(records, folds=3), tmp_path, folds=2)
    assert len(rows) == summary["records"] == 600


def test_smallest_corpus_gives_no_warning(tmp_path):
    write_corpus(tmp_path, train=120, validation=20, test=20)
    data = data_of(conversion.read_raw(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        probabilities = noise.out_of_fold_probabilities(data, folds=5, seed=0)
        summary, rows = noise.find_label_noise(data, probabilities)
    assert len(rows) == 120
    assert 0.0 <= summary["noise_rate"] < 1.0
