"""Numbers as a target: conversion, audit, training, prediction and scores."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from emotion_tables import converted, outputs_in
from own_targets import rated_rows, voted_rows, write_table
from predictor_checks import check_predictor
from scored_runs import BOOTSTRAP, SCHEMAS, scored_run
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import mean_absolute_error
from sklearn.tree import DecisionTreeRegressor
from torch import nn

from affectlab import cli
from affectlab.config.load import load_config
from affectlab.config.models import Lora, Training
from affectlab.datasets.description import Description
from affectlab.emotion import tfidf_numbers
from affectlab.emotion.audit import audit
from affectlab.emotion.compare import compare
from affectlab.emotion.evaluate import evaluate
from affectlab.emotion.model import collator, squared_error_sum
from affectlab.emotion.objectives import number_scores
from affectlab.emotion.predict import EmotionClassifier
from affectlab.emotion.predict_numbers import EmotionRegressor
from affectlab.emotion.predict_records import predict_records
from affectlab.emotion.ratings import Ratings, read_ratings
from affectlab.emotion.readers import read_any
from affectlab.emotion.scales import Scales
from affectlab.emotion.score_numbers import rated_corpus_of
from affectlab.emotion.settings import EmotionRun, Tfidf
from affectlab.emotion.train import train_network
from affectlab.emotion.train_tfidf import cross_validate, train_tfidf
from affectlab.errors import ConfigError, DataError, UserError
from affectlab.evaluation import regression
from affectlab.evaluation.records import origin_record, read_comparison, read_metrics
from affectlab.evaluation.regression import score_stems
from affectlab.experiments import validate_config
from affectlab.files.io import read_jsonl, write_json, write_jsonl
from affectlab.samples.models import write_tiny_bert, write_tiny_qwen3
from affectlab.training.outputs import Outputs

pytestmark = pytest.mark.usefixtures("edited_models")

PROJECT = Path(__file__).parents[2]
NAMES = ("valence", "arousal")
COLUMNS = {"text": "post", "group": "author", "label": list(NAMES)}
ENTRY = {"layout": "table", "target": "numbers", "columns": COLUMNS}
TFIDF = EmotionRun(method="tfidf", data="rated", tfidf=Tfidf(min_df=1))


def write_rated(folder, rows, header=("post", "author", *NAMES)):
    folder.mkdir(exist_ok=True)
    write_table(folder / "rated.csv", header, rows)
    return folder


def ratings_in(folder, entry=ENTRY, count=120, **options):
    raw = write_rated(folder / "raw", rated_rows(count))
    outputs = converted(raw, folder, entry, **options)
    return read_ratings(outputs.records, outputs.description)


# --- conversion


def test_a_record_has_its_numbers_instead_of_a_label(tmp_path):
    data = ratings_in(tmp_path)
    assert data.names == NAMES
    assert data.description.target == "numbers"
    rows = list(rated_rows(120))
    for record, row in zip(data.records, rows, strict=True):
        assert list(record.values.items()) == list(zip(NAMES, row[2:], strict=True))
    assert "label" not in next(iter(read_jsonl(outputs_in(tmp_path).records)))
    assert {record.split for record in data.records} == {"train", "validation", "test"}
    authors = {record.group: set() for record in data.records}
    for record in data.records:
        authors[record.group].add(record.split)
    assert all(len(splits) == 1 for splits in authors.values())


@pytest.mark.parametrize("column", ["valence", ["valence"]])
def test_one_number_is_enough(tmp_path, column):
    data = ratings_in(tmp_path, ENTRY | {"columns": COLUMNS | {"label": column}})
    assert data.names == ("valence",)
    assert data.values_of(data.records).shape == (120, 1)


def test_splits_have_alike_numbers(tmp_path):
    """The bins of the first number are spread evenly: no split is of low values alone."""
    columns = {name: value for name, value in COLUMNS.items() if name != "group"}
    data = ratings_in(tmp_path, ENTRY | {"columns": columns}, count=400)
    values = data.values_of(data.records)[:, 0]
    for split in ("train", "validation", "test"):
        own = data.values_of(data.of_split(split))[:, 0]
        assert own.mean() == pytest.approx(values.mean(), abs=0.25)
        assert own.std() == pytest.approx(values.std(), abs=0.25)


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("", "arousal is empty"),
        ("nan", "arousal is .*'nan', expected a finite number"),
        ("-inf", "expected a finite number"),
        ("high", "'high', expected a finite number"),
        ("1e999", "expected a finite number"),
    ],
)
def test_a_number_that_is_none_is_reported_with_its_line_or_set_aside(tmp_path, cell, problem):
    rows = list(rated_rows(60))
    rows[3][3] = cell
    raw = write_rated(tmp_path / "raw", rows)
    with pytest.raises(DataError, match=rf"rated\.csv, line 5: .*{problem}"):
        converted(raw, tmp_path, ENTRY)
    outputs = converted(raw, tmp_path, ENTRY, on_bad_record="skip")
    assert len(read_ratings(outputs.records, outputs.description).records) == 59


@pytest.mark.parametrize(
    "change",
    [
        {"values": {"valence": 1.0}},
        {"values": {"arousal": 1.0, "valence": 1.0}},
        {"values": {"valence": 1.0, "arousal": None}},
        {"values": {"valence": 1.0, "arousal": True}},
        {"values": [1.0, 2.0]},
        {"label": "joy"},
        {"split": "dev"},
        {"fold": 0},
    ],
)
def test_records_that_are_not_as_described_are_refused(tmp_path, change):
    Description(NAMES, target="numbers").write(tmp_path / "d.json")
    row = {"id": "1", "text": "a", "values": {"valence": 1, "arousal": 2.5}, "split": "train"}
    write_jsonl(tmp_path / "r.jsonl", [row])
    assert isinstance(read_any(tmp_path / "r.jsonl", tmp_path / "d.json"), Ratings)
    write_jsonl(tmp_path / "r.jsonl", [row | change])
    with pytest.raises(DataError):
        read_any(tmp_path / "r.jsonl", tmp_path / "d.json")


# --- audit


def test_the_audit_describes_the_numbers_and_finds_traps(tmp_path):
    rows = list(rated_rows(200))
    for place, row in enumerate(rows):
        row.append("test" if place % 4 == 0 else "dev" if place % 4 == 1 else "train")
    rows[0][0] = rows[2][0].upper()
    rows[7][1] = f" {rows[7][1].upper()}"
    raw = write_rated(tmp_path / "raw", rows, ("post", "author", *NAMES, "part"))
    outputs = converted(raw, tmp_path, ENTRY | {"split": {"column": "part"}})
    data = read_ratings(outputs.records, outputs.description)
    found = audit(data, expected={"counts": {"test": 50, "train": 99}})
    part = found["counts"]["train"]["numbers"]["valence"]
    values = data.values_of(data.of_split("train"))[:, 0]
    assert part["mean"] == pytest.approx(values.mean())
    assert (part["min"], part["max"]) == (values.min(), values.max())
    assert {"item_in_two_splits", "name_in_two_spellings"} <= {
        trap["name"] for trap in found["traps"]
    }
    assert found["overlap"]["test_in_train"] == [data.records[0].id]
    assert [row["status"] for row in found["expected"]] == ["ok", "differs"]


def test_a_number_that_never_varies_is_refused(tmp_path):
    rows = [[*row[:3], "3"] for row in rated_rows(60)]
    outputs = converted(write_rated(tmp_path / "raw", rows), tmp_path, ENTRY)
    with pytest.raises(UserError, match="the number arousal is the same for all texts"):
        audit(read_ratings(outputs.records, outputs.description))


# --- training and prediction


def test_scales_restore_what_they_standardise():
    values = np.array([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]])
    scales = Scales.of(values, NAMES)
    standard = scales.standardised(values)
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-12)
    assert standard[:, 0].std() == pytest.approx(1)
    np.testing.assert_allclose(scales.restored(standard), values)


class _Fixed(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self._outputs = torch.tensor(outputs)

    def forward(self, input_ids, attention_mask):
        return type("Output", (), {"logits": self._outputs[input_ids[:, 0]]})()


def test_the_loss_is_the_squared_error():
    generator = np.random.default_rng(0)
    outputs, aims = generator.normal(size=(2, 6, 3)).astype(np.float32)
    batch = collator([[n] for n in range(6)], aims, pad_id=0)(np.arange(6))
    loss = float(squared_error_sum(_Fixed(outputs), batch))
    assert loss == pytest.approx(
        sum(np.mean((o - a) ** 2) for o, a in zip(outputs, aims, strict=True))
    )


def test_tfidf_solves_the_ridge_regression(tmp_path):
    """Against the normal equations, with the mean of each feature taken off for the intercept."""
    data = ratings_in(tmp_path)
    training, test = data.of_split("train"), data.of_split("test")
    recipe = Tfidf(C=2.0, min_df=1)
    texts = [record.text for record in training]
    values = data.values_of(training)
    model = tfidf_numbers.fit(recipe, texts, values, NAMES)
    vectorizer = TfidfVectorizer(min_df=1, sublinear_tf=True)
    features = vectorizer.fit_transform(texts).toarray()
    centred = features - features.mean(axis=0)
    aims = (values - values.mean(axis=0)) / values.std(axis=0)
    inner = centred.T @ centred + np.eye(centred.shape[1]) / 2.0
    weights = np.linalg.solve(inner, centred.T @ aims)
    unseen = vectorizer.transform([record.text for record in test]).toarray()
    by_hand = (unseen - features.mean(axis=0)) @ weights
    by_hand = by_hand * values.std(axis=0) + values.mean(axis=0)
    found = model.predict([record.text for record in test])
    np.testing.assert_allclose(found, by_hand, atol=1e-4)

    tfidf_numbers.save(model, tmp_path / "model")
    loaded = tfidf_numbers.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(texts), model.predict(texts))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("terms", ["a"]),
        ("terms", 3),
        ("number_scales", {"names": ["v"], "means": [0.0]}),
        ("number_scales", {"names": ["v", "w"], "means": [0, 1], "deviations": [1, 0]}),
        ("recipe", {"C": 1.0}),
        ("format", 9),
    ],
)
def test_a_broken_tfidf_model_is_refused(tmp_path, key, value):
    data = ratings_in(tmp_path)
    texts = [record.text for record in data.records]
    model = tfidf_numbers.fit(Tfidf(), texts, data.values_of(data.records), NAMES)
    tfidf_numbers.save(model, tmp_path / "model")
    path = tmp_path / "model" / tfidf_numbers.SETTINGS_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(UserError):
        tfidf_numbers.load(tmp_path / "model")


TRAINING = Training(
    epochs=12, batch_size=16, learning_rate=3.0e-3, warmup_steps=2, precision="fp32"
)
RUNS = {
    "full": EmotionRun(method="full", max_length=48, training=TRAINING),
    "lora": EmotionRun(
        method="lora",
        max_length=48,
        lora=Lora(rank=4, alpha=8, target_modules=["q_proj", "v_proj"]),
        training=TRAINING.model_copy(update={"epochs": 1}),
    ),
}


def outputs_of(folder):
    return Outputs(folder / "model", folder / "history.csv", folder / "training.json")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with data, and a model of each method."""
    folder = tmp_path_factory.mktemp("numbers")
    data = ratings_in(folder, count=200)
    write_tiny_bert(folder / "bases" / "full", seed=0)
    write_tiny_qwen3(folder / "bases" / "lora", seed=0)
    for method, run in RUNS.items():
        train_network(
            records_path=outputs_in(folder).records,
            description_path=outputs_in(folder).description,
            base_model=folder / "bases" / method,
            run=run,
            seed=3,
            threads=1,
            outputs=outputs_of(folder / method),
        )
    train_tfidf(data=data, run=TFIDF, seed=0, outputs=outputs_of(folder / "tfidf"))
    return folder


def data_of(work):
    return read_ratings(outputs_in(work).records, outputs_in(work).description)


@pytest.mark.parametrize("method", ["full", "lora", "tfidf"])
def test_a_model_predicts_in_units_of_the_data(work, method):
    data = data_of(work)
    regressor = EmotionRegressor.from_directory(work / method / "model")
    assert regressor.names == NAMES
    training = data.of_split("train")
    found = regressor.predict([record.text for record in training])
    predicted = np.array([list(one.values.values()) for one in found])
    values = data.values_of(training)
    np.testing.assert_allclose(predicted.mean(axis=0), values.mean(axis=0), atol=1.0)
    if method != "lora":
        assert np.corrcoef(predicted[:, 0], values[:, 0])[0, 1] > 0.5
    assert (work / method / "history.csv").read_text().startswith("step,epoch,split,loss,")


@pytest.mark.parametrize("method", ["full", "tfidf"])
def test_the_predictor_has_the_interface_of_all(work, method):
    texts = ["they were cheering", "she was grieving"]
    check_predictor(EmotionRegressor, work / method / "model", texts)
    with pytest.raises(UserError, match="text 2: is empty"):
        EmotionRegressor.from_directory(work / method / "model").predict(["a", " "])


@pytest.mark.parametrize("method", ["full", "tfidf"])
def test_the_classifier_refuses_a_model_of_numbers_and_the_other_way_round(work, method, tmp_path):
    with pytest.raises(UserError, match="predicts numbers; load it by EmotionRegressor"):
        EmotionClassifier.from_directory(work / method / "model")
    with pytest.raises(UserError, match="expected a model that predicts numbers"):
        EmotionRegressor.from_directory(work / "bases" / "full")
    with pytest.raises(UserError, match="no such model directory"):
        EmotionRegressor.from_directory(tmp_path / "nothing")


def test_a_checkpoint_with_broken_scales_is_refused(work, tmp_path):
    shutil.copytree(work / "full" / "model", tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    for change in ({"means": [1]}, {"names": ["a", "b"]}, {"deviations": [1, "x"]}):
        scales = config["number_scales"] | change
        path.write_text(json.dumps(config | {"number_scales": scales}))
        with pytest.raises(UserError, match=r"config\.json"):
            EmotionRegressor.from_directory(tmp_path / "model")


def test_the_command_predicts_numbers(work, capsys):
    model = str(work / "tfidf" / "model")
    assert cli.main(["predict", "emotion", "--model", model, "they were cheering"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"text", "values"}
    assert answer["values"]["valence"] > 5


# --- scores


def concordance(x, y):
    """Lin 1989, from means, variances and the covariance over n."""
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    return 2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def test_validation_scores_are_those_of_the_definitions():
    generator = np.random.default_rng(4)
    values = generator.normal(3, 2, size=(40, 2))
    scales = Scales.of(values, NAMES)
    outputs = scales.standardised(values) + generator.normal(size=(40, 2))
    found = number_scores(outputs, values, scales)
    assert found["loss"] == pytest.approx(np.mean((outputs - scales.standardised(values)) ** 2))
    aims = scales.standardised(values)
    each = [concordance(outputs[:, d], aims[:, d]) for d in range(2)]
    assert found["ccc"] == pytest.approx(np.mean(each))


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        (["valence", "arousal"], ["valence", "arousal"]),
        (["Valence (1-9)"], ["valence_1_9"]),
        (["1 to 9", "x"], ["number1", "x"]),
        (["1 to 9", "number 1", "number1"], ["number1", "number2", "number3"]),
        (["Erregung", "ä", "erregung"], ["number1", "number2", "number3"]),
    ],
)
def test_names_of_scores_fit_the_schema(names, stems):
    assert score_stems(names) == stems


def scored(work, folder, method, **options):
    """Predict and score a model of *work*."""
    folder.mkdir(parents=True, exist_ok=True)
    data = data_of(work)
    predict_records(
        data=data,
        model_directory=work / method / "model",
        predictions_path=folder / "predictions.jsonl",
        splits=["validation", "test"],
        threads=1,
    )
    write_json(folder / "audit.json", audit(data))
    write_json(folder / "training.json", {"seconds": 1.0, "device": "cpu", **origin_record()})
    recipe = TFIDF if method == "tfidf" else RUNS[method].model_copy(update={"data": "rated"})
    run = scored_run(folder, recipe, name=method, training_path=folder / "training.json")
    evaluate(
        run,
        predictions_path=folder / "predictions.jsonl",
        data=data,
        data_paths=(outputs_in(work).records,),
        audit_path=folder / "audit.json",
        text_path=folder / "evaluation_results.txt",
        figures=folder / "figures",
        **({"baseline": None} | options),
    )
    return read_metrics(folder / "metrics.json")


def arrays_of(path, split="test"):
    rows = [row for row in read_jsonl(path) if row["split"] == split]
    return (
        np.array([[row[key][name] for name in NAMES] for row in rows])
        for key in ("values", "prediction")
    )


def tree_answers(data):
    """What scikit-learn's trees predict of the test split from the lengths of its texts.

    All texts are English, so the language adds nothing.
    """
    train, test = (data.of_split(split) for split in ("train", "test"))
    lengths = [
        [[len(one.text), len(one.text.split())] for one in sorted(part, key=lambda one: one.id)]
        for part in (train, test)
    ]
    values = data.values_of(sorted(train, key=lambda one: one.id))
    columns = []
    for own in values.T:
        tree = DecisionTreeRegressor(max_depth=4, min_samples_leaf=2, random_state=0)
        columns.append(tree.fit(lengths[0], own).predict(lengths[1]))
    return np.stack(columns, axis=1)


def check_baseline(baseline, rivals, best):
    """The baseline is the *best* of the *rivals*, name -> value."""
    assert baseline["value"] == pytest.approx(best(rivals.values()), rel=1e-6)
    assert baseline["value"] == pytest.approx(rivals[baseline["name"]], rel=1e-6)


def test_scores_are_those_of_the_definitions(work, tmp_path):
    data = data_of(work)
    by_length = tree_answers(data)
    record = scored(work, tmp_path / "tfidf", "tfidf")
    true, predicted = arrays_of(tmp_path / "tfidf" / "predictions.jsonl")
    mean = np.tile(data.values_of(data.of_split("train")).mean(axis=0), (len(true), 1))
    cccs = [concordance(predicted[:, d], true[:, d]) for d in range(2)]
    metrics = record["metrics"]
    assert metrics["ccc"]["value"] == pytest.approx(np.mean(cccs), rel=1e-6)
    assert metrics["mae"]["value"] == pytest.approx(mean_absolute_error(true, predicted), rel=1e-6)
    for d, name in enumerate(NAMES):
        assert metrics[f"{name}_ccc"]["value"] == pytest.approx(cccs[d], rel=1e-6)
        errors = {
            "training_mean": mean_absolute_error(true[:, d], mean[:, d]),
            "conditions": mean_absolute_error(true[:, d], by_length[:, d]),
        }
        check_baseline(metrics[f"{name}_mae"]["baseline"], errors, min)
    for entry in metrics.values():
        assert entry["ci"][0] < entry["value"] < entry["ci"][1]
    by_trees = np.mean([concordance(by_length[:, d], true[:, d]) for d in range(2)])
    rivals = {"training_mean": 0.0, "conditions": by_trees}
    check_baseline(metrics["ccc"]["baseline"], rivals, max)
    assert record["other_splits"]["validation"]["n"] == len(data.of_split("validation"))
    text = (tmp_path / "tfidf" / "evaluation_results.txt").read_text()
    assert "numbers: valence, arousal" in text
    assert (tmp_path / "tfidf" / "figures" / "predicted_values.png").stat().st_size > 0


def scored_classes(folder):
    """A run on texts with classes: its data."""
    rows = [[f"c{n}", row[1], row[2] or "joy"] for n, row in enumerate(voted_rows(90))]
    raw = folder / "raw"
    raw.mkdir(parents=True)
    write_table(raw / "classes.csv", ["nr", "text", "label"], rows)
    outputs = converted(raw, folder, {"layout": "table"})
    data = read_any(outputs.records, outputs.description)
    train_tfidf(data=data, run=TFIDF, seed=0, outputs=outputs_of(folder))
    predict_records(
        data=data,
        model_directory=folder / "model",
        predictions_path=folder / "predictions.jsonl",
        splits=["validation", "test"],
        threads=1,
    )
    write_json(folder / "audit.json", audit(data))
    recipe = TFIDF.model_copy(update={"data": "classes"})
    evaluate(
        scored_run(folder, recipe, name="words", training_path=folder / "training.json"),
        predictions_path=folder / "predictions.jsonl",
        data=data,
        data_paths=(outputs.records,),
        audit_path=folder / "audit.json",
        baseline=None,
        text_path=folder / "evaluation_results.txt",
        figures=folder / "figures",
    )
    return data


def test_runs_are_compared_on_the_same_texts_also_next_to_runs_on_classes(work, tmp_path):
    own = {method: tmp_path / method for method in ("tfidf", "full")}
    first = scored(work, own["tfidf"], "tfidf")
    baseline = ("tfidf", 1, own["tfidf"] / "predictions.jsonl")
    second = scored(work, own["full"], "full", baseline=baseline)
    (pair,) = second["comparisons"]
    for name in ("ccc", "mae"):
        difference = second["metrics"][name]["value"] - first["metrics"][name]["value"]
        assert pair["differences"][name]["value"] == pytest.approx(difference, abs=1e-7)
    classes = scored_classes(tmp_path / "words")
    folders = [own["tfidf"], tmp_path / "words", own["full"]]
    compare(
        metrics_paths=[folder / "metrics.json" for folder in folders],
        predictions_paths=[folder / "predictions.jsonl" for folder in folders],
        data={"rated": data_of(work), "classes": classes},
        baseline="tfidf",
        bootstrap=BOOTSTRAP,
        schema=SCHEMAS / "comparison.schema.json",
        output_path=tmp_path / "comparison.json",
    )
    found = read_comparison(tmp_path / "comparison.json")
    assert found["headline"] == ["accuracy", "macro_f1", "ccc", "mae"]
    assert [run["run"] for run in found["runs"]] == ["words", "tfidf", "full"]
    (both,) = found["pairs"]
    assert "mcnemar" not in both
    value = both["differences"]["ccc"]["value"]
    assert value == pytest.approx(-pair["differences"]["ccc"]["value"], abs=1e-7)


def test_predictions_of_other_texts_or_other_values_are_refused(work, tmp_path):
    scored(work, tmp_path, "tfidf")
    path = tmp_path / "predictions.jsonl"
    rows = list(read_jsonl(path))
    corpus = rated_corpus_of(data_of(work))
    for change, problem in (
        ({"values": {"valence": 0.0, "arousal": 0.0}}, "not those of the records"),
        ({"prediction": {"valence": 1.0}}, "expected a number for each"),
        ({"id": "x"}, "no item of the split"),
    ):
        write_jsonl(path, [rows[0] | change, *rows[1:]])
        with pytest.raises(DataError, match=problem):
            regression.read_predictions(path, corpus)
    write_jsonl(path, rows[1:])
    with pytest.raises(DataError, match="no prediction for 1 items"):
        regression.read_predictions(path, corpus)


def test_every_text_of_a_cross_validation_is_predicted_without_its_fold(tmp_path):
    data = ratings_in(tmp_path, ENTRY | {"split": {"folds": 4}})
    cross_validate(data, TFIDF, 0, tmp_path / "p.jsonl", ["validation", "test"])
    rows = {row["id"]: row for row in read_jsonl(tmp_path / "p.jsonl") if row["split"] == "test"}
    assert rows.keys() == {record.id for record in data.records}
    one = data.records[7]
    training = data.for_fold(one.fold).of_split("train")
    texts = [record.text for record in training]
    model = tfidf_numbers.fit(TFIDF.tfidf, texts, data.values_of(training), NAMES)
    (expected,) = model.predict([one.text])
    assert list(rows[one.id]["prediction"].values()) == pytest.approx(expected, rel=1e-6)
    corpus = rated_corpus_of(data)
    assert corpus.means["test"][one.id] == data.values_of(training).mean(axis=0).tolist()
    assert len(regression.read_predictions(tmp_path / "p.jsonl", corpus)["test"]) == 120


def test_texts_that_are_in_training_are_scored_apart():
    ids = tuple("abcd")
    true = np.arange(8.0).reshape(4, 2)
    split = regression.RatedPredictions(ids, true, true + 1, {"training_mean": true * 0})
    rest = split.without({"b"})
    assert rest.ids == ("a", "c", "d")
    np.testing.assert_array_equal(rest.predicted, true[[0, 2, 3]] + 1)


# --- configuration


def overlay_with(tmp_path, target, extra=""):
    (tmp_path / "rated.csv").write_text("post,valence\na b,1\n")
    (tmp_path / "mine.yaml").write_text(
        f"""
experiments: [emotion]
datasets:
  rated: {{path: rated.csv, layout: table, target: {target}, columns: {{label: [valence]}}}}
emotion:
  selected: [mine]
  runs: {{mine: {{like: minilm, data: rated}}}}
  {extra}
"""
    )
    validate_config(load_config(PROJECT, [tmp_path / "mine.yaml"]), PROJECT)


def test_every_target_of_texts_is_accepted(tmp_path):
    for target in ("class", "classes", "numbers"):
        overlay_with(tmp_path, target)


def test_a_network_for_numbers_is_not_exported(tmp_path):
    with pytest.raises(ConfigError, match="the run 'mine' predicts numbers; only networks for"):
        overlay_with(tmp_path, "numbers", "export: [mine]")
