"""Several classes as a target: conversion, audit, training, prediction, scores, cards."""

import csv
import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from card_checks import check_card
from emotion_tables import converted, outputs_in
from example_programs import run_example
from own_targets import FEELINGS, tagged_rows, write_table
from predictor_checks import check_predictor
from scipy.special import expit
from scored_runs import BOOTSTRAP, SCHEMAS, scored_run
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.multiclass import OneVsRestClassifier
from torch import nn

from affectlab import cli
from affectlab.config.models import Lora, Training
from affectlab.datasets.description import Description
from affectlab.emotion import tfidf_multilabel
from affectlab.emotion.audit import audit
from affectlab.emotion.card import write_card
from affectlab.emotion.compare import compare
from affectlab.emotion.evaluate import evaluate
from affectlab.emotion.export import export
from affectlab.emotion.model import binary_cross_entropy_sum, collator
from affectlab.emotion.multilabel_data import MultilabelData, read_multilabel
from affectlab.emotion.noise import write_label_noise
from affectlab.emotion.objectives import multilabel_scores
from affectlab.emotion.overlay import overlay
from affectlab.emotion.predict import EmotionClassifier
from affectlab.emotion.predict_multilabel import EmotionMultilabelClassifier
from affectlab.emotion.predict_records import predict_records
from affectlab.emotion.readers import read_any
from affectlab.emotion.score_multilabel import multilabel_corpus_of
from affectlab.emotion.settings import EmotionRun, Tfidf
from affectlab.emotion.train import train_network
from affectlab.emotion.train_tfidf import cross_validate, train_tfidf
from affectlab.errors import DataError, UserError
from affectlab.evaluation.multilabel_predictions import MultilabelScorer
from affectlab.evaluation.records import origin_record, read_comparison, read_metrics
from affectlab.evaluation.thresholds import choose_thresholds
from affectlab.files.io import read_json, read_jsonl, write_json, write_jsonl
from affectlab.samples.models import write_tiny_bert, write_tiny_qwen3
from affectlab.training.outputs import Outputs

pytestmark = pytest.mark.usefixtures("edited_models")

NAMES = ("anger", "fear", "joy", "trust")
COLUMNS = {"text": "post", "group": "author", "label": "feelings"}
ENTRY = {"layout": "table", "target": "classes", "columns": COLUMNS}
HEADER = ("post", "author", "feelings")
TFIDF = EmotionRun(method="tfidf", data="tagged", tfidf=Tfidf(min_df=1))


def write_tagged(folder, rows, header=HEADER):
    folder.mkdir(exist_ok=True)
    write_table(folder / "tagged.csv", header, rows)
    return folder


def tagged_in(folder, entry=ENTRY, count=200, **options):
    raw = write_tagged(folder / "raw", tagged_rows(count))
    outputs = converted(raw, folder, entry, **options)
    return read_multilabel(outputs.records, outputs.description)


def with_columns(rows):
    """The same rows with a column of 0 and 1 for each class."""
    return [[*row[:2], *(int(name in row[2].split(";")) for name in FEELINGS)] for row in rows]


# --- conversion


@pytest.mark.parametrize("separator", [";", ",", "|", "; ", " , "])
def test_a_cell_lists_the_classes_of_a_text(tmp_path, separator):
    rows = list(tagged_rows(120, separator=separator))
    outputs = converted(write_tagged(tmp_path / "raw", rows), tmp_path, ENTRY)
    data = read_multilabel(outputs.records, outputs.description)
    assert data.names == NAMES
    assert data.description.target == "classes"
    for record, row in zip(data.records, tagged_rows(120), strict=True):
        assert set(record.labels) == set(filter(None, row[2].split(";")))
    assert any(record.labels == () for record in data.records)
    authors = {record.group: set() for record in data.records}
    for record in data.records:
        authors[record.group].add(record.split)
    assert all(len(splits) == 1 for splits in authors.values())


def test_columns_of_0_and_1_are_the_same_classes(tmp_path):
    first = tagged_in(tmp_path)
    rows = with_columns(tagged_rows(200))
    raw = write_tagged(tmp_path / "columns", rows, ("post", "author", *FEELINGS))
    entry = ENTRY | {"columns": COLUMNS | {"label": list(FEELINGS)}}
    (tmp_path / "out").mkdir()
    outputs = converted(raw, tmp_path / "out", entry)
    second = read_multilabel(outputs.records, outputs.description)
    assert second.names == tuple(FEELINGS)
    for one, two in zip(first.records, second.records, strict=True):
        assert set(one.labels) == set(two.labels)


def test_lists_in_json_lines_are_label_sets(tmp_path):
    (tmp_path / "raw").mkdir()
    sets = [["joy", "fear"], [], ["fear"], None, ["joy"]] * 12
    rows = [{"text": f"text {n} of many", "label": own} for n, own in enumerate(sets)]
    write_jsonl(tmp_path / "raw" / "tagged.jsonl", rows)
    outputs = converted(tmp_path / "raw", tmp_path, {"layout": "table", "target": "classes"})
    data = read_any(outputs.records, outputs.description)
    assert isinstance(data, MultilabelData)
    assert [list(one.labels) for one in data.records] == [sorted(own or []) for own in sets]


def test_splits_have_alike_shares_of_the_rarest_class(tmp_path):
    columns = {name: value for name, value in COLUMNS.items() if name != "group"}
    data = tagged_in(tmp_path, ENTRY | {"columns": columns}, count=600)
    shares = data.labels_of(data.records).mean(axis=0)
    for split in ("train", "validation", "test"):
        np.testing.assert_allclose(data.labels_in(split).mean(axis=0)[3], shares[3], atol=0.03)


@pytest.mark.parametrize(
    ("entry", "header", "cells", "problem"),
    [
        (ENTRY | {"classes": list(NAMES)}, HEADER, ["joy;jo"], "unknown label 'jo'"),
        (
            ENTRY | {"columns": COLUMNS | {"label": ["joy", "fear"]}},
            ("post", "author", "joy", "fear"),
            ["1", "2"],
            "fear is a string '2', expected 0 or 1",
        ),
        (
            ENTRY | {"columns": COLUMNS | {"label": ["joy", "fear"]}},
            ("post", "author", "joy", "fear"),
            ["", "1"],
            "joy is empty, expected 0 or 1",
        ),
    ],
)
def test_a_bad_cell_is_reported_with_its_line_or_set_aside(tmp_path, entry, header, cells, problem):
    rows = [
        [*row[:2], "joy"] if len(header) == 3 else [*row[:2], "1", "0"] for row in tagged_rows(60)
    ]
    for row in rows[::2]:
        row[2:] = ["fear"] if len(header) == 3 else ["0", "1"]
    rows[3][2:] = cells
    raw = write_tagged(tmp_path / "raw", rows, header)
    with pytest.raises(DataError, match=rf"tagged\.csv, line 5: .*{problem}"):
        converted(raw, tmp_path, entry)
    outputs = converted(raw, tmp_path, entry, on_bad_record="skip")
    assert len(read_multilabel(outputs.records, outputs.description).records) == 59


def test_classes_in_two_spellings_are_refused_or_merged(tmp_path):
    rows = list(tagged_rows(60))
    rows[4][2] = "Joy;fear"
    raw = write_tagged(tmp_path / "raw", rows)
    with pytest.raises(DataError, match="differ in spelling only"):
        converted(raw, tmp_path, ENTRY)
    outputs = converted(raw, tmp_path, ENTRY, similar_names="merge")
    data = read_multilabel(outputs.records, outputs.description)
    assert data.names == NAMES
    assert data.records[4].labels == ("fear", "joy")


@pytest.mark.parametrize(
    "change",
    [
        {"labels": ["joy", "anger"]},
        {"labels": ["joy", "joy"]},
        {"labels": ["calm"]},
        {"labels": [3]},
        {"labels": "joy"},
        {"label": "joy"},
        {"split": "dev"},
        {"fold": 0},
    ],
)
def test_records_that_are_not_as_described_are_refused(tmp_path, change):
    Description(NAMES, target="classes").write(tmp_path / "d.json")
    row = {"id": "1", "text": "a", "labels": ["anger", "joy"], "split": "train"}
    write_jsonl(tmp_path / "r.jsonl", [row])
    assert isinstance(read_any(tmp_path / "r.jsonl", tmp_path / "d.json"), MultilabelData)
    write_jsonl(tmp_path / "r.jsonl", [row | change])
    with pytest.raises(DataError):
        read_any(tmp_path / "r.jsonl", tmp_path / "d.json")


# --- audit


def trap_names(found):
    return {trap["name"] for trap in found["traps"]}


def test_the_audit_describes_the_label_sets_and_finds_traps(tmp_path):
    rows = list(tagged_rows(200))
    for place, row in enumerate(rows):
        row.append("test" if place % 4 == 0 else "dev" if place % 4 == 1 else "train")
    rows[0][0] = rows[2][0].upper()
    rows[7][1] = f" {rows[7][1].upper()}"
    rows[6][2] += ";awe" if rows[6][2] else "awe"
    raw = write_tagged(tmp_path / "raw", rows, (*HEADER, "part"))
    outputs = converted(raw, tmp_path, ENTRY | {"split": {"column": "part"}})
    data = read_multilabel(outputs.records, outputs.description)
    found = audit(data, expected={"counts": {"test": 50}, "classes": {"awe": 2}})
    part = found["counts"]["train"]
    assert part["classes"] == dict(
        zip(data.names, data.labels_in("train").sum(axis=0).tolist(), strict=True)
    )
    sizes = part["classes_of_a_text"]
    assert sum(sizes.values()) == part["records"]
    assert sizes["0"] == sum(not record.labels for record in data.of_split("train"))
    assert {
        "item_in_two_splits",
        "name_in_two_spellings",
        "class_smaller_than_folds",
    } <= trap_names(found)
    assert [row["status"] for row in found["expected"]] == ["ok", "differs"]


def test_a_condition_that_predicts_a_class_is_a_trap_and_a_baseline(tmp_path):
    rows = list(tagged_rows(240))
    for row in rows:
        if "joy" in row[2]:
            row[0] += " and then we went on and on and on for hours and hours"
    outputs = converted(write_tagged(tmp_path / "raw", rows), tmp_path, ENTRY)
    data = read_multilabel(outputs.records, outputs.description)
    found = audit(data)
    [trap] = [one for one in found["traps"] if one["name"] == "condition_predicts_class"]
    assert "has the class joy can be predicted" in trap["sentence"]
    answers = multilabel_corpus_of(data).answers["conditions"]["test"]
    joy = [answers[record.id][2] == ("joy" in record.labels) for record in data.of_split("test")]
    assert np.mean(joy) > 0.95


def test_chance_conditions_are_no_trap(tmp_path):
    assert "condition_predicts_class" not in trap_names(audit(tagged_in(tmp_path, count=240)))


def test_a_class_that_all_texts_of_an_author_have_is_a_trap(tmp_path):
    rows = list(tagged_rows(200))
    for number, row in enumerate(rows):
        others = [name for name in row[2].split(";") if name not in ("", "fear")]
        row[2] = ";".join([*others, *(["fear"] if number % 20 < 8 else [])])
    outputs = converted(write_tagged(tmp_path / "raw", rows), tmp_path, ENTRY)
    found = audit(read_multilabel(outputs.records, outputs.description))
    [trap] = [one for one in found["traps"] if one["name"] == "label_constant_per_group"]
    assert "In 8 of the 8 groups by author that have the class fear" in trap["sentence"]


def test_a_class_of_all_texts_or_of_no_training_text_is_refused(tmp_path):
    rows = [[*row[:2], f"calm;{row[2]}"] for row in tagged_rows(60)]
    outputs = converted(write_tagged(tmp_path / "raw", rows), tmp_path, ENTRY)
    with pytest.raises(UserError, match="all texts have the class calm"):
        audit(read_multilabel(outputs.records, outputs.description))
    entry = ENTRY | {"classes": [*NAMES, "awe"]}
    outputs = converted(write_tagged(tmp_path / "raw", tagged_rows(60)), tmp_path, entry)
    with pytest.raises(UserError, match="the split train has no record of awe"):
        audit(read_multilabel(outputs.records, outputs.description))


def test_labels_are_not_searched_for_mistakes(tmp_path):
    data = tagged_in(tmp_path)
    write_label_noise(data, tmp_path / "n.json", tmp_path / "n.csv", folds=2, seed=0)
    assert (
        read_json(tmp_path / "n.json")["skipped"] == "the data have several classes for each text"
    )


# --- training and prediction


class _Fixed(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self._outputs = torch.tensor(outputs)

    def forward(self, input_ids, attention_mask):
        return type("Output", (), {"logits": self._outputs[input_ids[:, 0]]})()


def test_the_loss_is_the_binary_cross_entropy():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(6, 3)).astype(np.float32)
    true = (generator.random((6, 3)) < 0.4).astype(np.float32)
    batch = collator([[n] for n in range(6)], true, pad_id=0)(np.arange(6))
    p = expit(logits)
    expected = -np.where(true == 1, np.log(p), np.log(1 - p)).mean(axis=1).sum()
    assert float(binary_cross_entropy_sum(_Fixed(logits), batch)) == pytest.approx(expected)
    found = multilabel_scores(logits, true.astype(bool))
    assert found["loss"] == pytest.approx(expected / 6)
    decided = choose_thresholds(true, p).decide(p)
    assert found["macro_f1"] == pytest.approx(f1_score(true, decided, average="macro"))


def test_tfidf_is_one_logistic_regression_for_each_class(tmp_path):
    data = tagged_in(tmp_path)
    texts = [record.text for record in data.of_split("train")]
    unseen = [record.text for record in data.of_split("test")]
    true = data.labels_in("train")
    model = tfidf_multilabel.fit(Tfidf(min_df=1), texts, true, NAMES, 0)
    vectorizer = TfidfVectorizer(min_df=1, sublinear_tf=True)
    classifier = LogisticRegression(C=3.0, class_weight="balanced", max_iter=2000)
    rest = OneVsRestClassifier(classifier).fit(vectorizer.fit_transform(texts), true)
    expected = rest.predict_proba(vectorizer.transform(unseen))
    np.testing.assert_allclose(model.probabilities(unseen), expected, atol=1e-6)

    validation = [record.text for record in data.of_split("validation")]
    chosen = model.with_thresholds(validation, data.labels_in("validation"))
    by_hand = choose_thresholds(data.labels_in("validation"), model.probabilities(validation))
    assert chosen.thresholds == tuple(by_hand.values)
    tfidf_multilabel.save(chosen, tmp_path / "model")
    loaded = tfidf_multilabel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.probabilities(texts), chosen.probabilities(texts))
    assert loaded.thresholds == chosen.thresholds


def test_a_class_without_training_texts_has_a_constant_probability(caplog):
    texts = ["we laugh", "we cry", "they laugh", "they cry"]
    true = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1], [0, 0, 1]], bool)
    model = tfidf_multilabel.fit(Tfidf(min_df=1), texts, true, ("a", "b", "c"), 0)
    found = model.probabilities(["we smile"])
    np.testing.assert_allclose(found[0, 1:], [0.1, 0.9])
    chosen = model.with_thresholds(texts, true)
    assert chosen.thresholds[1] == 0.5
    assert "no validation text has the class b: the threshold is 0.5" in caplog.text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("terms", ["a"]),
        ("classes", ["a", "a"]),
        ("classes", ["a", "b"]),
        ("class_thresholds", {"anger": 0.5}),
        ("class_thresholds", dict.fromkeys(NAMES, 1.5)),
        ("class_thresholds", dict.fromkeys(NAMES, "0.5")),
        ("recipe", {"C": 1.0}),
        ("format", 9),
    ],
)
def test_a_broken_tfidf_model_is_refused(tmp_path, key, value):
    data = tagged_in(tmp_path)
    texts = [record.text for record in data.records]
    model = tfidf_multilabel.fit(Tfidf(), texts, data.labels_of(data.records), NAMES, 0)
    tfidf_multilabel.save(model, tmp_path / "model")
    path = tmp_path / "model" / tfidf_multilabel.SETTINGS_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(UserError):
        tfidf_multilabel.load(tmp_path / "model")


TRAINING = Training(
    epochs=15, batch_size=16, learning_rate=5.0e-3, warmup_steps=2, precision="fp32"
)
RUNS = {
    "full": EmotionRun(method="full", max_length=128, training=TRAINING),
    "lora": EmotionRun(
        method="lora",
        max_length=128,
        lora=Lora(rank=4, alpha=8, target_modules=["q_proj", "v_proj"]),
        training=TRAINING.model_copy(update={"epochs": 1}),
    ),
}


def outputs_of(folder):
    return Outputs(folder / "model", folder / "history.csv", folder / "training.json")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with data, and a model of each method."""
    folder = tmp_path_factory.mktemp("multilabel")
    data = tagged_in(folder, count=240)
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
    return read_multilabel(outputs_in(work).records, outputs_in(work).description)


@pytest.mark.parametrize("method", ["full", "lora", "tfidf"])
def test_a_model_predicts_label_sets_at_its_own_thresholds(work, method):
    data = data_of(work)
    classifier = EmotionMultilabelClassifier.from_directory(work / method / "model")
    assert classifier.classes == NAMES
    validation = data.of_split("validation")
    found = classifier.predict([record.text for record in validation])
    p = np.array([[one.probabilities[name] for name in NAMES] for one in found])
    decided = np.array([[name in one.labels for name in NAMES] for one in found])
    thresholds = np.array([classifier.thresholds[name] for name in NAMES])
    np.testing.assert_array_equal(decided, p >= thresholds)
    # No other threshold is better on the texts that they were chosen on.
    true = data.labels_in("validation")
    best = choose_thresholds(true, p).decide(p)
    assert f1_score(true, decided, average="macro") == pytest.approx(
        f1_score(true, best, average="macro")
    )
    if method != "lora":
        test = data.of_split("test")
        answers = classifier.predict([record.text for record in test])
        sets = np.array([[name in one.labels for name in NAMES] for one in answers])
        true = data.labels_in("test")
        trivial = f1_score(true, np.ones_like(true), average="macro")
        assert f1_score(true, sets, average="macro") > trivial + 0.05
    with (work / method / "history.csv").open() as stream:
        last = list(csv.DictReader(stream))[-1]
    assert float(last["macro_f1"]) <= 1


@pytest.mark.parametrize("method", ["full", "tfidf"])
def test_the_predictor_has_the_interface_of_all(work, method):
    texts = ["they were laughing", "she was trembling"]
    check_predictor(EmotionMultilabelClassifier, work / method / "model", texts)


@pytest.mark.parametrize("method", ["full", "tfidf"])
def test_predictors_refuse_models_of_other_targets(work, method):
    with pytest.raises(UserError, match="load it by EmotionMultilabelClassifier"):
        EmotionClassifier.from_directory(work / method / "model")
    with pytest.raises(UserError, match="expected a model that predicts several classes"):
        EmotionMultilabelClassifier.from_directory(work / "bases" / "full")


def test_a_checkpoint_with_broken_thresholds_is_refused(work, tmp_path):
    shutil.copytree(work / "full" / "model", tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    for broken in ({"anger": 0.5}, dict.fromkeys(NAMES, 2), "half"):
        path.write_text(json.dumps(config | {"class_thresholds": broken}))
        with pytest.raises(UserError, match=r"config\.json"):
            EmotionMultilabelClassifier.from_directory(tmp_path / "model")


def test_the_command_predicts_label_sets(work, capsys):
    model = str(work / "tfidf" / "model")
    assert cli.main(["predict", "emotion", "--model", model, "they were laughing"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"text", "labels", "probabilities"}
    assert answer["labels"] == ["joy"]
    assert list(answer["probabilities"]) == list(NAMES)


@pytest.fixture(scope="module")
def exported(work):
    """The folder with the exports of the fine-tuned network."""
    folder = work / "export"
    folder.mkdir()
    export(
        model_directory=work / "full" / "model",
        base_model=work / "bases" / "full",
        records_path=outputs_in(work).records,
        description_path=outputs_in(work).description,
        max_length=128,
        threads=1,
        onnx_path=folder / "model.onnx",
        int8_path=folder / "model.int8.onnx",
        summary_path=folder / "export.json",
    )
    return folder


def test_exports_keep_classes_and_thresholds(work, exported):
    classifier = EmotionMultilabelClassifier.from_directory(work / "full" / "model")
    for name in ("model.onnx", "model.int8.onnx"):
        stored = {one.key: one.value for one in onnx.load(exported / name).metadata_props}
        assert json.loads(stored["classes"]) == list(NAMES)
        assert json.loads(stored["class_thresholds"]) == classifier.thresholds
    data = data_of(work)
    found = classifier.predict([record.text for record in data.of_split("test")])
    decided = np.array([[name in one.labels for name in NAMES] for one in found])
    formats = read_json(exported / "export.json")["formats"]
    assert formats["onnx"]["macro_f1"] == pytest.approx(
        f1_score(data.labels_in("test"), decided, average="macro")
    )
    assert formats["onnx"]["batch_spread"]["changed_decisions"] == 0


# --- scores


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
    recipe = TFIDF if method == "tfidf" else RUNS[method].model_copy(update={"data": "tagged"})
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


def test_scores_are_those_of_the_definitions(work, tmp_path):
    record = scored(work, tmp_path, "tfidf")
    rows = [row for row in read_jsonl(tmp_path / "predictions.jsonl") if row["split"] == "test"]
    true, decided = (
        np.array([[name in row[key] for name in NAMES] for row in rows])
        for key in ("labels", "prediction")
    )
    metrics = record["metrics"]
    assert metrics["macro_f1"]["value"] == pytest.approx(f1_score(true, decided, average="macro"))
    assert metrics["exact_match"]["value"] == pytest.approx(accuracy_score(true, decided))
    for entry in metrics.values():
        assert entry["ci"][0] < entry["value"] <= entry["ci"][1]
        assert entry["baseline"] is not None
    every = f1_score(true, np.ones_like(true), average="macro")
    assert metrics["macro_f1"]["baseline"]["value"] >= every - 1e-7
    assert record["data"]["target"] == "classes"
    classifier = EmotionMultilabelClassifier.from_directory(work / "tfidf" / "model")
    for name in NAMES:
        assert record["per_class"][name]["threshold"] == pytest.approx(classifier.thresholds[name])
    text = (tmp_path / "evaluation_results.txt").read_text()
    assert "avg prec" in text
    assert (tmp_path / "figures" / "precision_recall.png").stat().st_size > 0


def test_runs_are_compared_on_the_same_texts(work, tmp_path):
    own = {method: tmp_path / method for method in ("tfidf", "full")}
    first = scored(work, own["tfidf"], "tfidf")
    second = scored(
        work, own["full"], "full", baseline=("tfidf", 1, own["tfidf"] / "predictions.jsonl")
    )
    (pair,) = second["comparisons"]
    for name in ("macro_f1", "exact_match"):
        difference = second["metrics"][name]["value"] - first["metrics"][name]["value"]
        assert pair["differences"][name]["value"] == pytest.approx(difference, abs=1e-7)
    folders = list(own.values())
    compare(
        metrics_paths=[folder / "metrics.json" for folder in folders],
        predictions_paths=[folder / "predictions.jsonl" for folder in folders],
        data={"tagged": data_of(work)},
        baseline="tfidf",
        bootstrap=BOOTSTRAP,
        schema=SCHEMAS / "comparison.schema.json",
        output_path=tmp_path / "comparison.json",
    )
    found = read_comparison(tmp_path / "comparison.json")
    assert found["headline"] == ["macro_f1", "exact_match"]
    (both,) = found["pairs"]
    assert both["differences"]["macro_f1"]["value"] == pytest.approx(
        -pair["differences"]["macro_f1"]["value"], abs=1e-7
    )


def test_impossible_predictions_are_refused(work, tmp_path):
    scored(work, tmp_path, "tfidf")
    path = tmp_path / "predictions.jsonl"
    rows = list(read_jsonl(path))
    scorer = MultilabelScorer(multilabel_corpus_of(data_of(work)))
    wrong = [name for name in NAMES if name not in rows[0]["labels"]]
    other = [name for name in NAMES if name not in rows[0]["prediction"]]
    for change, problem in (
        ({"labels": wrong}, "the labels are not those of the records"),
        ({"prediction": other}, "not on the side of its threshold"),
        ({"prediction": ["joy", "joy"]}, "expected different texts"),
        ({"prediction": ["calm"]}, "expected some of"),
        ({"probabilities": {"joy": 0.5}}, "expected a number for each"),
        ({"thresholds": dict.fromkeys(NAMES, 1.5)}, "expected 0 to 1"),
        ({"id": "x"}, "no item of the split"),
    ):
        write_jsonl(path, [rows[0] | change, *rows[1:]])
        with pytest.raises(DataError, match=problem):
            scorer.read(path)
    write_jsonl(path, rows[1:])
    with pytest.raises(DataError, match="no prediction for 1 items"):
        scorer.read(path)


def test_thresholds_of_a_fold_come_from_its_own_validation_texts(tmp_path):
    data = tagged_in(tmp_path, ENTRY | {"split": {"folds": 4}})
    cross_validate(data, TFIDF, 0, tmp_path / "p.jsonl", ["validation", "test"])
    rows = {row["id"]: row for row in read_jsonl(tmp_path / "p.jsonl") if row["split"] == "test"}
    assert rows.keys() == {record.id for record in data.records}
    for fold in range(4):
        own = data.for_fold(fold)
        texts = {
            split: [one.text for one in own.of_split(split)] for split in ("train", "validation")
        }
        model = tfidf_multilabel.fit(TFIDF.tfidf, texts["train"], own.labels_in("train"), NAMES, 0)
        chosen = choose_thresholds(
            own.labels_in("validation"), model.probabilities(texts["validation"])
        )
        for record in own.of_split("test"):
            stored = list(rows[record.id]["thresholds"].values())
            assert stored == pytest.approx(list(chosen.values))
    corpus = multilabel_corpus_of(data)
    one = data.records[7]
    train = data.for_fold(one.fold).labels_in("train")
    np.testing.assert_allclose(corpus.priors["test"][one.id].shares, train.mean(axis=0))
    found = MultilabelScorer(corpus).read(tmp_path / "p.jsonl")
    assert len(found["test"]) == len(found["validation"]) == len(data.records)


# --- cards, and what init proposes


def test_a_card_states_scores_and_thresholds(work, exported, tmp_path):
    record = scored(work, tmp_path, "full")
    dataset = {
        "title": "Posts",
        "version": "1",
        "citation": "none",
        "licence": "CC0",
        "terms": "any",
        "layout": "table",
        "path": "posts.csv",
        "sources": [],
    }
    write_card(
        metrics_path=tmp_path / "metrics.json",
        audit_path=tmp_path / "audit.json",
        export_path=exported / "export.json",
        recipe=RUNS["full"],
        dataset=dataset,
        model={"title": "A tiny BERT", "licence": "MIT", "sources": []},
        card_path=tmp_path / "model_card.md",
        example_path=tmp_path / "inference_example.py",
        licence_path=tmp_path / "LICENSE.md",
    )
    card = check_card(tmp_path)
    assert "A text may have several classes, or none." in card
    for name in NAMES:
        row = record["per_class"][name]
        assert f"| {name} | {row['precision']:.3f} | {row['recall']:.3f} |" in card
        assert f"| {row['threshold']:.3f} |" in card
    assert f"{record['metrics']['macro_f1']['value']:.3f}" in card
    assert "with the classes and their thresholds in their metadata" in card
    shutil.copytree(work / "full" / "model", tmp_path / "model")
    text = "they were laughing"
    (found,) = EmotionMultilabelClassifier.from_directory(tmp_path / "model").predict([text])
    labels = ", ".join(f"{name} {found.probabilities[name]:.3f}" for name in found.labels)
    assert run_example(tmp_path, text) == [f"{labels or 'no class'}\t{text}"]


@pytest.mark.parametrize("separator", [";", ", ", "|"])
def test_init_recognises_cells_that_list_classes(tmp_path, separator):
    write_table(tmp_path / "tagged.csv", HEADER, tagged_rows(120, separator=separator))
    found = overlay(tmp_path / "tagged.csv").entry
    assert found["target"] == "classes"
    assert found["columns"] == {"text": "post", "label": "feelings", "group": "author"}
    assert found["classes"] == list(NAMES)


def test_init_recognises_columns_of_0_and_1(tmp_path):
    rows = with_columns(tagged_rows(120))
    write_table(tmp_path / "tagged.csv", ("post", "author", *FEELINGS), rows)
    found = overlay(tmp_path / "tagged.csv").entry
    assert found["target"] == "classes"
    assert found["columns"]["label"] == list(FEELINGS)
    assert "classes" not in found


def test_init_keeps_to_one_class_where_cells_have_one(tmp_path):
    rows = [
        [*row[:2], row[2].split(";")[0] or "calm", number % 2]
        for number, row in enumerate(tagged_rows(120))
    ]
    write_table(tmp_path / "tagged.csv", ("post", "author", "mood", "reply"), rows)
    found = overlay(tmp_path / "tagged.csv").entry
    assert "target" not in found
    assert found["columns"]["label"] == "mood"
