import json
from pathlib import Path

import numpy as np
import pytest
from emotion_tables import data_in, described
from scored_runs import scored_run
from sklearn import metrics

from affectlab.config.models import Bootstrap
from affectlab.emotion import evaluate as ev
from affectlab.emotion.compare import compare
from affectlab.emotion.data import CLASSES, read_data
from affectlab.emotion.settings import EmotionRun
from affectlab.errors import DataError, UserError
from affectlab.evaluation import stats
from affectlab.evaluation.records import origin_record, read_record
from affectlab.files.io import read_json, write_json, write_jsonl

SCHEMAS = Path(__file__).parents[2] / "workflow" / "schemas"
BOOTSTRAP = Bootstrap(resamples=200)
RECIPE = EmotionRun(method="full", model="tiny", data="made")
SIZES = {"train": 60, "validation": 80, "test": 120}
OVERLAPPING = ["test-00003", "test-00010"]


def make_records(directory):
    """A corpus in which two test texts occur in train, and two test texts are the same."""
    generator = np.random.default_rng(0)
    records = []
    for split, size in SIZES.items():
        # The first class is the commonest in train.
        labels = np.where(generator.random(size) < 0.3, 0, generator.integers(6, size=size))
        for number, label in enumerate(labels, start=1):
            text = f"text {number} of {split}"
            records.append(
                {
                    "id": f"{split}-{number:05d}",
                    "text": text,
                    "label": CLASSES[label],
                    "split": split,
                }
            )
    by_id = {record["id"]: record for record in records}
    for place, name in enumerate(OVERLAPPING, start=1):
        by_id[name]["text"] = by_id[f"train-{place:05d}"]["text"].upper()
    by_id["test-00100"]["text"] = by_id["test-00099"]["text"]
    write_jsonl(directory / "records.jsonl", records)
    described(directory)
    write_json(directory / "audit.json", {"overlap": {"test_in_train": OVERLAPPING}})
    return records


def make_predictions(path, records, skill, seed, sharpness=6.0):
    """Predictions right for about *skill* of the items, overconfident by construction."""
    generator = np.random.default_rng(seed)
    lines = []
    for record in records:
        if record["split"] == "train":
            continue
        logits = generator.normal(size=6)
        right = CLASSES.index(record["label"])
        favoured = right if generator.random() < skill else int(generator.integers(6))
        logits[favoured] += sharpness
        probabilities = np.exp(logits) / np.exp(logits).sum()
        lines.append(
            {
                "id": record["id"],
                "split": record["split"],
                "label": record["label"],
                "prediction": CLASSES[int(np.argmax(probabilities))],
                "probabilities": dict(zip(CLASSES, map(float, probabilities), strict=True)),
            }
        )
    write_jsonl(path, lines)
    return lines


def prepare(folder):
    """A folder with a corpus, a good run, a weak one, and what training leaves."""
    records = make_records(folder)
    make_predictions(folder / "good.jsonl", records, 0.9, 1)
    make_predictions(folder / "weak.jsonl", records, 0.6, 2)
    write_json(folder / "training.json", {"seconds": 1.0, "device": "cpu", **origin_record()})
    write_json(
        folder / "manifest.json",
        {
            "files": [{"path": "model.safetensors", "sha256": "0" * 64, "bytes": 1}],
            "source": {"kind": "hub", "revision": "abc"},
        },
    )
    return folder


@pytest.fixture
def run(tmp_path):
    return prepare(tmp_path)


def evaluate(folder, output="out", predictions="good.jsonl", run=None, **changes):
    this = {
        "recipe": RECIPE,
        "bootstrap": BOOTSTRAP,
        "training_path": folder / "training.json",
        "manifest_path": folder / "manifest.json",
    }
    arguments = {
        "predictions_path": folder / predictions,
        "data": data_in(folder),
        "data_paths": (folder / "records.jsonl",),
        "audit_path": folder / "audit.json",
        "baseline": ("weak", 0, folder / "weak.jsonl"),
        "text_path": folder / output / "evaluation_results.txt",
        "figures": folder / output / "figures",
    }
    ev.evaluate(scored_run(folder / output, **(this | (run or {}))), **(arguments | changes))
    return folder / output


def by_split(folder, name, split, without=()):
    lines = [json.loads(line) for line in (folder / name).read_text().splitlines()]
    lines = [line for line in lines if line["split"] == split and line["id"] not in without]
    labels = [line["label"] for line in lines]
    predicted = [line["prediction"] for line in lines]
    probabilities = np.array([[line["probabilities"][c] for c in CLASSES] for line in lines])
    return labels, predicted, probabilities


def test_metrics_equal_scikit_learn_and_fit_the_schema(run):
    record = read_record(evaluate(run) / "metrics.json", SCHEMAS / "metrics.schema.json")
    labels, predicted, probabilities = by_split(run, "good.jsonl", "test")
    found = {name: entry["value"] for name, entry in record["metrics"].items()}
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    assert found["nll"] == pytest.approx(
        # scikit-learn wants the columns in alphabetical order.
        metrics.log_loss(labels, probabilities[:, np.argsort(CLASSES)], labels=sorted(CLASSES))
    )
    np.testing.assert_array_equal(
        record["confusion_matrix"], metrics.confusion_matrix(labels, predicted, labels=CLASSES)
    )
    report = metrics.classification_report(labels, predicted, output_dict=True)
    for name in CLASSES:
        for column, theirs in (
            ("precision", "precision"),
            ("recall", "recall"),
            ("f1", "f1-score"),
        ):
            assert record["per_class"][name][column] == pytest.approx(report[name][theirs])
        assert record["per_class"][name]["support"] == report[name]["support"]
    for entry in record["metrics"].values():
        low, high = entry["ci"]
        assert low < high
    assert record["metrics"]["accuracy"]["ci"][0] < found["accuracy"]
    assert found["accuracy"] < record["metrics"]["accuracy"]["ci"][1]


def test_data_and_model_are_identified(run):
    record = read_json(evaluate(run) / "metrics.json")
    assert record["data"]["n"] == SIZES["test"]
    # Two of the test texts are the same.
    assert record["data"]["groups"] == SIZES["test"] - 1
    assert record["data"]["classes"] == list(CLASSES)
    assert record["model"]["revision"] == "abc"
    tfidf = EmotionRun(method="tfidf", data="made")
    out = evaluate(run, "other", run={"recipe": tfidf, "manifest_path": None}, baseline=None)
    record = read_json(out / "metrics.json")
    assert record["model"] == {"name": "tfidf", "revision": None, "sha256": None}
    assert record["comparisons"] == []


def test_trivial_baselines(run):
    record = read_json(evaluate(run) / "metrics.json")
    labels, _, _ = by_split(run, "good.jsonl", "test")
    train = [
        json.loads(line)["label"]
        for line in (run / "records.jsonl").read_text().splitlines()
        if json.loads(line)["split"] == "train"
    ]
    assert record["metrics"]["accuracy"]["baseline"] == {
        "name": "majority",
        "value": pytest.approx(np.mean(np.array(labels) == "sadness")),
    }
    shares = np.array([train.count(name) / len(train) for name in CLASSES])
    expected = -np.mean([np.log(shares[CLASSES.index(label)]) for label in labels])
    assert record["metrics"]["nll"]["baseline"]["value"] == pytest.approx(expected)
    assert record["metrics"]["ece"]["baseline"] is None
    assert not any(entry["below_baseline"] for entry in record["metrics"].values())


def test_temperature_is_fitted_on_validation_and_helps_an_overconfident_run(run):
    record = read_json(evaluate(run) / "metrics.json")
    labels, _, probabilities = by_split(run, "good.jsonl", "validation")
    temperature = stats.fit_temperature(
        probabilities, np.array([CLASSES.index(label) for label in labels])
    )
    assert record["calibration"]["temperature"] == pytest.approx(temperature, rel=1e-6)
    assert temperature > 1
    validation = record["other_splits"]["validation"]["metrics"]
    assert validation["nll_calibrated"]["value"] < validation["nll"]["value"]
    assert record["metrics"]["ece_calibrated"]["value"] < record["metrics"]["ece"]["value"]


def test_scores_without_overlap_leave_out_exactly_those_items(run):
    record = read_json(evaluate(run) / "metrics.json")
    labels, predicted, _ = by_split(run, "good.jsonl", "test", OVERLAPPING)
    rest = record["other_splits"]["test_without_overlap"]
    assert rest["n"] == SIZES["test"] - 2
    assert rest["metrics"]["accuracy"]["value"] == pytest.approx(
        metrics.accuracy_score(labels, predicted)
    )
    assert record["other_splits"]["validation"]["n"] == SIZES["validation"]


def test_comparison_with_the_baseline_run(run):
    [found] = read_json(evaluate(run) / "metrics.json")["comparisons"]
    labels, good, _ = by_split(run, "good.jsonl", "test")
    _, weak, _ = by_split(run, "weak.jsonl", "test")
    right, other = (np.array(labels) == np.array(said) for said in (good, weak))
    assert (found["with"], found["seed"]) == ("weak", 0)
    assert found["differences"]["accuracy"]["value"] == pytest.approx(right.mean() - other.mean())
    assert found["mcnemar"]["only_ours"] == int((right & ~other).sum())
    assert found["mcnemar"]["exact_p"] < 0.001
    low, high = found["differences"]["accuracy"]["ci"]
    assert 0 < low < found["differences"]["accuracy"]["value"] < high


def test_equal_runs_give_equal_bytes_whatever_the_order_of_lines(run):
    first = evaluate(run, "one")
    lines = (run / "good.jsonl").read_text().splitlines(keepends=True)
    (run / "shuffled.jsonl").write_text("".join(reversed(lines)))
    second = evaluate(run, "two", "shuffled.jsonl")
    for name in (
        "metrics.json",
        "evaluation_results.txt",
        "figures/confusion_matrix.svg",
        "figures/reliability.png",
    ):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_a_run_below_the_trivial_baseline_says_so(run):
    records = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    for record in records:
        # Surely wrong: the class after the right one.
        record["label"] = CLASSES[(CLASSES.index(record["label"]) + 1) % 6]
    lines = make_predictions(run / "bad.jsonl", records, 1.0, 3)
    truth = {
        record["id"]: record["label"]
        for record in map(json.loads, (run / "records.jsonl").read_text().splitlines())
    }
    write_jsonl(run / "bad.jsonl", [line | {"label": truth[line["id"]]} for line in lines])
    out = evaluate(run, predictions="bad.jsonl")
    record = read_json(out / "metrics.json")
    assert record["metrics"]["accuracy"]["below_baseline"] is True
    assert record["metrics"]["nll"]["below_baseline"] is True
    text = (out / "evaluation_results.txt").read_text()
    [line] = [line for line in text.splitlines() if line.startswith("macro_f1 ")][:1]
    assert "BELOW THE TRIVIAL BASELINE" in line


def test_results_text_holds_the_report(run):
    out = evaluate(run)
    text = (out / "evaluation_results.txt").read_text()
    record = read_json(out / "metrics.json")
    assert f"{record['metrics']['accuracy']['value']:.4f}" in text
    assert "BELOW" not in text
    for name in CLASSES:
        row = record["per_class"][name]
        assert [line.split() for line in text.splitlines() if line.startswith(name)] == [
            [
                name,
                f"{row['precision']:.4f}",
                f"{row['recall']:.4f}",
                f"{row['f1']:.4f}",
                str(row["support"]),
            ]
        ]
    assert "test_without_overlap, n = 118" in text
    assert "against weak, seed 0" in text


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda lines: lines[:-1], "no prediction for 1 items of the split test"),
        (lambda lines: [*lines, lines[0]], "a second prediction for 'validation-00001'"),
        (lambda lines: [lines[0] | {"id": "test-9"}, *lines[1:]], "'test-9' is no item"),
        (lambda lines: [lines[0] | {"split": "train"}, *lines[1:]], "of the split 'train'"),
        (
            lambda lines: [lines[0] | {"prediction": "glee"}, *lines[1:]],
            "record 1: prediction: expected",
        ),
        (lambda lines: [lines[0] | {"label": "glee"}, *lines[1:]], "'glee' is not that of the rec"),
        (
            lambda lines: [lines[0] | {"probabilities": {"joy": 1.0}}, *lines[1:]],
            "probabilities: expected a number for each of sadness, joy",
        ),
        (
            lambda lines: [lines[0] | {"probabilities": dict.fromkeys(CLASSES, 0.3)}, *lines[1:]],
            "are no distribution",
        ),
    ],
)
def test_predictions_that_do_not_match_the_records_are_refused(run, change, problem):
    lines = [json.loads(line) for line in (run / "good.jsonl").read_text().splitlines()]
    write_jsonl(run / "bad.jsonl", change(lines))
    with pytest.raises(DataError, match=problem):
        evaluate(run, predictions="bad.jsonl")
    assert not (run / "out").exists()


def test_records_without_a_split_and_broken_audit_are_refused(run):
    kept = [line for line in (run / "records.jsonl").read_text().splitlines() if "-val" not in line]
    (run / "few.jsonl").write_text(
        "\n".join(line for line in kept if '"validation"' not in line) + "\n"
    )
    few = read_data(run / "few.jsonl", run / "description.json")
    with pytest.raises(UserError, match="no records of the split validation"):
        evaluate(run, data=few)
    write_json(run / "audit.json", {"overlap": []})
    with pytest.raises(DataError, match=r"expected the list overlap\.test_in_train"):
        evaluate(run)


# --- comparison over runs ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    run = prepare(tmp_path_factory.mktemp("compared"))
    records = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    folders = []
    for name, skill, seeds in (("good", 0.9, (1, 2, 3)), ("weak", 0.6, (4,)), ("odd", 0.8, (5,))):
        for seed in seeds:
            make_predictions(run / f"{name}{seed}.jsonl", records, skill, seed)
            out = evaluate(
                run, f"{name}{seed}", f"{name}{seed}.jsonl", {"name": name, "seed": seed}
            )
            folders.append((out / "metrics.json", run / f"{name}{seed}.jsonl"))
    compare(
        metrics_paths=[first for first, _ in folders],
        predictions_paths=[second for _, second in folders],
        data={"made": data_in(run)},
        baseline="weak",
        bootstrap=BOOTSTRAP,
        schema=SCHEMAS / "comparison.schema.json",
        output_path=run / "comparison.json",
    )
    return run


def test_seeds_are_summarised(compared):
    record = read_record(compared / "comparison.json", SCHEMAS / "comparison.schema.json")
    good, weak, _ = record["runs"]
    values = [
        read_json(compared / f"good{seed}" / "metrics.json")["metrics"]["macro_f1"]["value"]
        for seed in (1, 2, 3)
    ]
    summary = good["metrics"]["macro_f1"]
    assert good["seeds"] == [1, 2, 3]
    assert summary["mean"] == pytest.approx(np.mean(values))
    assert summary["sd"] == pytest.approx(np.std(values, ddof=1))
    assert good["interval_covers"] == "items and seeds"
    assert summary["ci"][0] < min(values)
    assert (weak["metrics"]["accuracy"]["sd"], weak["interval_covers"]) == (None, "items")
    for row in record["runs"]:
        for name, entry in row["metrics"].items():
            assert entry["ci"][0] >= 0
            assert entry["ci"][1] <= 1 or name.startswith("nll")


def test_calibrated_scores_use_the_temperature_of_each_seed(compared):
    record = read_json(compared / "comparison.json")
    values = [
        read_json(compared / f"good{seed}" / "metrics.json")["metrics"]["nll_calibrated"]["value"]
        for seed in (1, 2, 3)
    ]
    found = record["runs"][0]["metrics"]["nll_calibrated"]["mean"]
    assert found == pytest.approx(np.mean(values), rel=1e-6)


def test_every_pair_is_tested_once_and_corrected(compared):
    from statsmodels.stats.multitest import multipletests

    pairs = read_json(compared / "comparison.json")["pairs"]
    names = [(pair["first"]["run"], pair["second"]["run"]) for pair in pairs]
    assert names == [("good", "weak"), ("good", "odd"), ("weak", "odd")]
    for entries, key in (
        ([pair["mcnemar"] for pair in pairs], "exact_p"),
        ([pair["differences"]["accuracy"] for pair in pairs], "p"),
    ):
        expected = multipletests([entry[key] for entry in entries], method="holm")[1]
        np.testing.assert_allclose([entry["holm_p"] for entry in entries], expected, rtol=1e-6)


def test_a_pair_is_of_all_seeds_and_its_mcnemar_test_of_two_named_models(compared):
    pair = read_json(compared / "comparison.json")["pairs"][0]
    own = [
        read_json(compared / f"good{seed}" / "metrics.json")["metrics"]["accuracy"]["value"]
        for seed in (1, 2, 3)
    ]
    weak = read_json(compared / "weak4" / "metrics.json")["metrics"]["accuracy"]["value"]
    found = pair["differences"]["accuracy"]
    assert found["value"] == pytest.approx(np.mean(own) - weak)
    assert pair["first"] == {"run": "good", "seeds": [1, 2, 3]}
    assert pair["compares"] == "trained models"
    test = pair["mcnemar"]
    assert (test["first_seed"], test["second_seed"]) == (1, 4)
    n = pair["n"]
    assert (test["only_first"] - test["only_second"]) / n == pytest.approx(own[0] - weak)
