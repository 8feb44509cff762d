"""Predictions of spans and of sentences that somebody else made: read, matched and scored."""

import json

import numpy as np
import pytest
from pyarrow import parquet
from scipy.spatial.distance import jensenshannon
from scored_runs import scored_run
from sklearn.metrics import f1_score

from affectlab.config.models import Outside, typed
from affectlab.entity.compare import compare
from affectlab.entity.data import Record, Target
from affectlab.entity.evaluate import evaluate
from affectlab.entity.labels import intensity_of
from affectlab.entity.outside import store
from affectlab.entity.settings import EntityRun
from affectlab.errors import DataError
from affectlab.evaluation import stats
from affectlab.files.io import read_json, write_json, write_jsonl

CLASSES = ("calm", "joy", "rage")
NEEDS_EMBEDDING = {"kappa_entropy_spearman", "aurc", "retrieval_map", "kappa_cosine_gap"}
AUDIT = {"overlap": {"test_in_train": ["t3"]}, "near_duplicates": {"overlap": {}}}


def soft(place, whole):
    """A label of the target at *place*: shares of spans, equal shares of sentences."""
    label = np.full(3, 0.1)
    label[place % 3] = 0.8
    if whole:
        label = np.where(np.arange(3) == place % 3, 1.0, 0.0)
        label[(place + 1) % 3] = place % 2
    return tuple((label / label.sum()).tolist())


def texts(whole, folds=None):
    """Nine texts of training and 36 held out, of two targets each, or one if it is the text."""
    parts = [("a", "train", 9), ("v", "validation", 18), ("t", "test", 18)]
    place = 0
    for letter, split, number in parts:
        for n in range(number):
            name, text = f"{letter}{n}", f"text {letter} number {n} tells of {n * 7919}"
            targets = []
            for k in range(1 if whole else 2):
                label = soft(place, whole)
                span = (None, None) if whole else (5 * k, 5 * k + 4)
                targets.append(Target(f"{name}.{k}", *span, label, intensity_of(label)))
                place += 1
            fold = None if folds is None else n % folds
            yield Record(name, text, split, tuple(targets), fold=fold)


@pytest.fixture
def data(tmp_path):
    """A function: write the data; the folder."""

    def write(*, whole=False, folds=None):
        records = [record.to_dict() for record in texts(whole, folds)]
        write_jsonl(tmp_path / "records.jsonl", records)
        described = {"classes": list(CLASSES)} | ({} if folds is None else {"folds": folds})
        write_json(tmp_path / "description.json", described)
        write_json(tmp_path / "audit.json", AUDIT)
        return records

    return write


@pytest.fixture
def scored(tmp_path):
    """A function: store a table and score it; metrics.json."""

    def run(text, name="theirs.csv", **recipe):
        (tmp_path / name).write_text(text, encoding="utf-8")
        block = {"path": str(tmp_path / name), **recipe}
        store(
            tmp_path / "records.jsonl",
            tmp_path / "description.json",
            typed(Outside, block),
            0,
            predictions_path=tmp_path / "predictions.parquet",
            record_path=tmp_path / "outside.json",
        )
        made = typed(EntityRun, {"method": "predictions", "data": "mine", "predictions": block})
        evaluate(
            scored_run(tmp_path, made),
            predictions_path=tmp_path / "predictions.parquet",
            records_path=tmp_path / "records.jsonl",
            description_path=tmp_path / "description.json",
            model_directories=[],
            figures=None,
            outside=(tmp_path / "outside.json", tmp_path / "audit.json"),
        )
        return read_json(tmp_path / "metrics.json")

    return run


def targets(records, *splits):
    return [one for record in records if record["split"] in splits for one in record["targets"]]


def predicted(found):
    """A probability of each class for each target; one in four has another likeliest class."""
    rng = np.random.default_rng(3)
    rows = rng.dirichlet([1.0, 1.0, 1.0], size=len(found)) * 0.5
    for n, (row, target) in enumerate(zip(rows, found, strict=True)):
        row[(int(np.argmax(target["label"])) + (n % 4 == 0)) % 3] += 0.5
    return rows / rows.sum(axis=1, keepdims=True)


def as_lines(found, probabilities, split=None):
    return "".join(
        json.dumps({"id": one["id"], "probabilities": row.tolist()} | (split or {})) + "\n"
        for one, row in zip(found, probabilities, strict=True)
    )


def test_classes_of_spans_have_the_scores_of_decisions(data, scored):
    test = targets(data(), "test")
    truth = [int(np.argmax(one["label"])) for one in test]
    answers = [(place + (n % 5 == 0)) % 3 for n, place in enumerate(truth)]
    lines = [f"{one['id']},{CLASSES[k]}" for one, k in zip(test, answers, strict=True)]
    record = scored("\n".join(["id,label", *lines]) + "\n")
    found = record["metrics"]
    assert set(found) == {"accuracy", "macro_f1", "micro_f1"}
    assert found["accuracy"]["value"] == pytest.approx(np.mean(np.equal(truth, answers)))
    expected = f1_score(truth, answers, average="macro")
    assert found["macro_f1"]["value"] == pytest.approx(expected)
    assert record["calibration"] is None
    assert record["details"]["outside"]["left_out"] == ["concentration", "retrieval"]
    assert sum(map(sum, record["confusion_matrix"])) == 36
    # Two spans are in a text that is in the training split, too.
    assert record["other_splits"]["test_without_overlap"]["n"] == 34


def test_probabilities_are_softened_by_a_temperature_of_validation(data, scored):
    held_out = targets(data(), "validation", "test")
    probabilities = predicted(held_out)
    record = scored(as_lines(held_out, probabilities), "theirs.jsonl")
    found = record["metrics"]
    assert {"js_distance", "nll", "nll_calibrated", "ece", "ece_calibrated"} <= set(found)
    assert not NEEDS_EMBEDDING & set(found)
    assert record["other_splits"]["validation"]["n"] == 36
    labels = np.array([one["label"] for one in held_out])
    labels /= labels.sum(axis=1, keepdims=True)
    temperature = record["calibration"]["temperature"]
    losses = {
        t: -(labels * np.log(stats.apply_temperature(probabilities, t)))[:36].sum(axis=1).mean()
        for t in (temperature, temperature * 1.01, temperature / 1.01)
    }
    assert min(losses, key=losses.__getitem__) == temperature
    softened = stats.apply_temperature(probabilities, temperature)[36:]
    distance = jensenshannon(softened, labels[36:], base=2, axis=1).mean()
    assert found["js_distance"]["value"] == pytest.approx(distance)


def test_without_validation_there_is_no_temperature(data, scored):
    test = targets(data(), "test")
    record = scored(as_lines(test, predicted(test)), "theirs.jsonl")
    assert {"nll", "ece"} <= set(record["metrics"])
    assert not {"nll_calibrated", "js_distance", "ece_calibrated"} & set(record["metrics"])
    assert set(record["other_splits"]) == {"test_without_overlap"}


def test_sentences_may_have_several_classes(data, scored):
    test = targets(data(whole=True), "test")
    sets = [[name for name, v in zip(CLASSES, one["label"], strict=True) if v] for one in test]
    given = [names if n % 3 else ["rage"] for n, names in enumerate(sets)]
    lines = [f"{one['id']},{' ; '.join(names)}" for one, names in zip(test, given, strict=True)]
    record = scored("\n".join(["id,label", *lines]) + "\n")
    exact = np.mean([a == b for a, b in zip(sets, given, strict=True)])
    assert record["metrics"]["accuracy"]["value"] == pytest.approx(exact)
    truth, decided = (
        np.array([[name in names for name in CLASSES] for names in rows]) for rows in (sets, given)
    )
    expected = f1_score(truth, decided, average="macro", zero_division=0)
    assert record["metrics"]["macro_f1"]["value"] == pytest.approx(expected)
    assert "confusion_matrix" not in record


def test_sentences_are_decided_by_thresholds_of_validation(data, scored):
    held_out = targets(data(whole=True), "validation", "test")
    probabilities = predicted(held_out)
    record = scored(as_lines(held_out, probabilities), "theirs.jsonl")
    assert record["calibration"]["temperature"] > 0
    per_class = record["per_class"]
    # With the likeliest class alone there would be one for each sentence.
    assert sum(row["predicted"] for row in per_class.values()) > 18


def test_a_table_of_folds_is_calibrated_fold_by_fold(data, scored):
    records = data(folds=3)
    everything = targets(records, "train", "validation", "test")
    probabilities = predicted(everything)
    lines = "".join(
        as_lines(everything, probabilities, {"split": split}) for split in ("validation", "test")
    )
    record = scored(lines, "theirs.jsonl")
    assert record["data"]["split"] == "cross-validation"
    assert record["data"]["n"] == len(everything)
    right = probabilities.argmax(axis=1) == [int(np.argmax(one["label"])) for one in everything]
    assert record["metrics"]["accuracy"]["value"] == pytest.approx(right.mean())
    assert record["calibration"]["temperature"] > 0


def test_missing_spans_are_counted_and_left_out(data, scored):
    test = targets(data(), "test")
    lines = [f"{one['id']},joy" for one in test[:30]]
    text = "\n".join(["id,label", *lines]) + "\n"
    with pytest.raises(DataError, match="no prediction for 6 of 36 items"):
        scored(text)
    record = scored(text, allow_missing=True)
    assert record["data"]["n"] == 30
    assert len(record["details"]["outside"]["missing"]) == 6


def test_a_text_with_one_target_stands_for_it(data, scored):
    test = targets(data(whole=True), "test")
    lines = [f"{one['id'].split('.')[0]},joy" for one in test]
    assert scored("\n".join(["id,label", *lines]) + "\n")["data"]["n"] == 18


def test_listed_training_spans_are_left_out(data, scored, tmp_path):
    test = targets(data(), "test")
    (tmp_path / "ids.txt").write_text("t0.0\nt0.1\n")
    lines = [f"{one['id']},joy" for one in test]
    record = scored("\n".join(["id,label", *lines]) + "\n", trained_on=str(tmp_path / "ids.txt"))
    assert record["details"]["outside"]["trained_on"] == ["t0.0", "t0.1"]
    assert record["other_splits"]["test_without_overlap"]["n"] == 32


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,label\nt0.0,glee\n", "line 2: label: 'glee' is none of the classes"),
        ("id,label\nx.0,joy\n", "1 prediction is of no item of these data: x.0"),
        ("id,calm,joy,rage\nt0.0,.5,.5,.5\n", "line 2: the probabilities sum to 1.5"),
    ],
)
def test_what_is_no_prediction_of_a_span_is_refused(data, scored, text, problem):
    data()
    with pytest.raises(DataError, match=problem):
        scored(text)


def test_runs_on_the_same_spans_are_compared(data, scored, tmp_path):
    test = targets(data(), "test")
    for run, answer in (("ours", "joy"), ("theirs", "rage")):
        lines = [f"{one['id']},{answer}" for one in test]
        record = scored("\n".join(["id,label", *lines]) + "\n")
        (tmp_path / run).mkdir()
        write_json(tmp_path / run / "metrics.json", {**record, "run": run})
        (tmp_path / "predictions.parquet").rename(tmp_path / run / "predictions.parquet")
        for left in tmp_path.glob("predictions.parquet*"):
            left.rename(tmp_path / run / left.name)
    folders = [tmp_path / "ours", tmp_path / "theirs"]
    compare(
        metrics_paths=[folder / "metrics.json" for folder in folders],
        predictions_paths=[folder / "predictions.parquet" for folder in folders],
        model_directories=[[], []],
        records_paths={"mine": tmp_path / "records.jsonl"},
        description_paths={"mine": tmp_path / "description.json"},
        bootstrap=scored_run(tmp_path, typed(EntityRun, {})).bootstrap,
        schema=scored_run(tmp_path, typed(EntityRun, {})).metrics_schema.with_name(
            "comparison.schema.json"
        ),
        output_path=tmp_path / "comparison.json",
    )
    record = read_json(tmp_path / "comparison.json")
    (pair,) = record["pairs"]
    values = [run["metrics"]["accuracy"]["mean"] for run in record["runs"]]
    assert pair["differences"]["accuracy"]["value"] == pytest.approx(values[0] - values[1])


def test_rows_of_corrupted_texts_are_passed_over(data, scored, tmp_path):
    test = targets(data(), "test")
    probabilities = predicted(test)
    lines = as_lines(test, probabilities, {"variant": "clean", "split": "test"})
    lines += as_lines(test, probabilities[::-1], {"variant": "typos", "split": "test"})
    scored(lines, "theirs.jsonl")
    stored = parquet.read_table(tmp_path / "predictions.parquet").to_pylist()
    assert [row["probabilities"] for row in stored] == probabilities.tolist()
