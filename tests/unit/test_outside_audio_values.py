"""Predictions of numbers and of several classes for recordings that somebody else made."""

import json
import shutil

import numpy as np
import pytest
import test_audio_label_set_runs as label_sets
import test_audio_number_runs as numbers
from scored_runs import BOOTSTRAP, SCHEMAS, scored_run
from sklearn.metrics import average_precision_score, f1_score

from affectlab.audio.compare import compare
from affectlab.audio.evaluate import evaluate
from affectlab.audio.outside import store
from affectlab.audio.predictions import OUTSIDE, Corpus, Known, read_corpus
from affectlab.audio.settings import AudioRun
from affectlab.config.models import typed
from affectlab.datasets.description import Description, read_description
from affectlab.errors import DataError
from affectlab.files.io import read_json, read_jsonl, write_json, write_jsonl

MODULES = {"numbers": numbers, "classes": label_sets}
TRUTH = {"numbers": "values", "classes": "labels"}


@pytest.fixture(scope="module", params=MODULES)
def ours(request, tmp_path_factory):
    """A target, and the folder of a probe of our own that was scored."""
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, MODULES[request.param].fitted(folder)


def judged(run, folder, table, **recipe):
    """Store a table on the data in *run* and score it; metrics.json."""
    block = {"path": str(table), **recipe}
    made = typed(
        AudioRun, {"method": "predictions", "data": "mine", "task": "label", "predictions": block}
    )
    data = {"records_path": run / "records.jsonl", "measures_path": run / "measures.jsonl"}
    description = read_description(run / "description.json")
    store(
        read_corpus(*data.values(), "label", "clip"),
        description,
        "label",
        made.predictions,
        0,
        main="grouped",
        predictions_path=folder / "predictions.jsonl",
        record_path=folder / "outside.json",
    )
    evaluate(
        scored_run(folder, made),
        predictions_path=folder / "predictions.jsonl",
        details_path=None,
        model_directory=None,
        **data,
        text_path=folder / "results.txt",
        figures=folder / "figures",
        outside=(folder / "outside.json", description),
    )
    return read_json(folder / "metrics.json")


def values_of(metrics):
    """Each score and its trivial baseline."""
    return {
        name: (entry["value"], entry["baseline"]["name"], entry["baseline"]["value"])
        for name, entry in metrics.items()
    }


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, (value, baseline, reached) in expected.items():
        assert found[name][0] == pytest.approx(value, rel=0, abs=1e-12)
        assert found[name][1] == baseline
        assert found[name][2] == pytest.approx(reached, rel=0, abs=1e-12)


def test_our_own_predictions_fed_back_have_the_same_scores(ours, tmp_path):
    target, run = ours
    record = read_json(run / "metrics.json")
    table = tmp_path / "theirs.jsonl"
    table.write_text((run / "predictions.jsonl").read_text())
    found = judged(run, tmp_path, table)
    assert_same(values_of(found["metrics"]), values_of(record["metrics"]))
    assert found["other_splits"].keys() == record["other_splits"].keys()
    for name, entry in record["other_splits"].items():
        assert_same(values_of(found["other_splits"][name]["metrics"]), values_of(entry["metrics"]))
    assert found.get("per_class") == record.get("per_class")
    assert found["data"]["n"] == record["data"]["n"]
    assert found["details"]["outside"]["probabilities"] is (None if target == "numbers" else True)


def test_a_plain_table_of_the_official_split_has_its_scores(ours, tmp_path):
    """Without schemes a table is of the test split, whose baselines are of the training split."""
    target, run = ours
    rows = [row for row in read_jsonl(run / "predictions.jsonl") if row["scheme"] == "official"]
    known = ("id", "prediction", "probabilities", "thresholds", TRUTH[target])
    lines = [{key: row[key] for key in known if key in row} for row in rows]
    (tmp_path / "theirs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = judged(run, tmp_path, tmp_path / "theirs.jsonl")
    official = read_json(run / "metrics.json")["other_splits"]["official"]
    assert found["data"]["split"] == OUTSIDE
    assert (found["data"]["n"], found["data"]["groups"]) == (official["n"], official["groups"])
    assert found["metrics"].keys() == official["metrics"].keys()
    for name, entry in official["metrics"].items():
        assert found["metrics"][name]["value"] == pytest.approx(entry["value"], rel=0, abs=1e-12)
        assert found["metrics"][name]["ci"] == pytest.approx(entry["ci"], rel=0, abs=1e-12)
    stored = list(read_jsonl(tmp_path / "predictions.jsonl"))
    prior = "training_mean" if target == "numbers" else "class_shares"
    assert stored[0][prior] == rows[0][prior]
    assert found["details"]["outside"]["scored_priors"] is False


def test_a_plain_table_is_compared_with_our_own_run(ours, tmp_path):
    """That of a single repeat, with everything predicted, on data without splits."""
    target, run = ours
    ours_rows = [
        row for row in read_jsonl(run / "predictions.jsonl") if row["scheme"] != "official"
    ]
    rows = [row for row in ours_rows if (row["scheme"], row["repeat"]) == ("grouped", 0)]
    records = [{**row, "split": None} for row in read_jsonl(run / "records.jsonl")]
    for name in ("measures.jsonl", "description.json", "metrics.json"):
        shutil.copy(run / name, tmp_path / name)
    write_jsonl(tmp_path / "predictions.jsonl", ours_rows, sealed=True)
    write_jsonl(tmp_path / "records.jsonl", records)
    lines = [{"id": row["id"], "prediction": row["prediction"]} for row in rows]
    (tmp_path / "theirs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "theirs").mkdir()
    record = judged(tmp_path, tmp_path / "theirs", tmp_path / "theirs.jsonl")
    name = read_json(tmp_path / "metrics.json")["data"]["name"]
    record["data"]["name"] = name
    write_json(tmp_path / "theirs" / "metrics.json", {**record, "run": "theirs"}, sealed=True)
    folders = [tmp_path, tmp_path / "theirs"]
    compare(
        metrics_paths=[folder / "metrics.json" for folder in folders],
        predictions_paths=[folder / "predictions.jsonl" for folder in folders],
        data_paths={name: (tmp_path / "records.jsonl", tmp_path / "measures.jsonl")},
        baseline=None,
        bootstrap=BOOTSTRAP,
        schema=SCHEMAS / "comparison.schema.json",
        output_path=tmp_path / "comparison.json",
        forest_path=tmp_path / "forest",
    )
    (pair,) = read_json(tmp_path / "comparison.json")["pairs"]
    score = "ccc" if target == "numbers" else "macro_f1"
    values = [read_json(folder / "metrics.json")["metrics"][score]["value"] for folder in folders]
    found = pair["differences"][score]
    assert abs(found["value"]) == pytest.approx(abs(values[0] - values[1]), abs=1e-6)
    assert found["ci"][0] < 0 < found["ci"][1]


def test_items_that_the_model_was_trained_on_are_left_out(ours, tmp_path):
    _, run = ours
    lines = [
        {"id": row["id"], "prediction": row["prediction"]}
        for row in read_jsonl(run / "predictions.jsonl")
        if row["scheme"] == "official"
    ]
    (tmp_path / "theirs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "ids.txt").write_text(lines[0]["id"] + "\n")
    table = tmp_path / "theirs.jsonl"
    found = judged(run, tmp_path, table, trained_on=str(tmp_path / "ids.txt"))
    assert found["other_splits"]["test_without_overlap"]["n"] == len(lines) - 1
    assert (
        "The model was trained on 1 of the scored recordings."
        in (tmp_path / "results.txt").read_text()
    )


CLASSES = ("calm", "glad", "sad")
RNG = np.random.default_rng(5)


def corpus_of(target, count=30):
    """A corpus without splits, two clips for each subject."""
    if target == "numbers":
        truths = [(float(n % 7), n % 5 / 5) for n in range(count)]
    else:
        truths = [tuple(c for k, c in enumerate(CLASSES) if n >> k & 1) for n in range(count)]
    items = {f"c{n}": Known(f"s{n // 2}", one, None) for n, one in enumerate(truths)}
    return Corpus(items, items)


@pytest.fixture
def scored(tmp_path, monkeypatch):
    """A function: store and score a table on a made corpus; metrics.json."""

    def run(target, text, **recipe):
        corpus = corpus_of(target)
        names = ("valence", "arousal") if target == "numbers" else CLASSES
        monkeypatch.setattr("affectlab.audio.evaluate.read_corpus", lambda *_: corpus)
        monkeypatch.setattr(
            "test_outside_audio_values.read_corpus", lambda *_: corpus, raising=True
        )
        write_jsonl(tmp_path / "records.jsonl", [])
        Description(names, target, group="subject").write(tmp_path / "description.json")
        (tmp_path / "theirs.csv").write_text(text)
        return judged(tmp_path, tmp_path, tmp_path / "theirs.csv", **recipe)

    return run


def test_numbers_stand_in_columns(scored):
    items = corpus_of("numbers").items
    lines = [f"{name},{known.label[0] + 1},0.4" for name, known in items.items()]
    record = scored("numbers", "\n".join(["id,V,arousal", *lines]), classes={"V": "valence"})
    assert record["metrics"]["valence_mae"]["value"] == pytest.approx(1.0)
    assert record["metrics"]["arousal_ccc"]["value"] == pytest.approx(0.0)
    true = np.array([known.label for known in items.values()])
    constant = np.abs(true - true.mean(axis=0)).mean(axis=0)
    assert record["metrics"]["valence_mae"]["baseline"]["value"] == pytest.approx(
        constant[0], rel=1e-6
    )
    assert record["details"]["outside"]["scored_priors"] is True


def test_lists_of_classes_have_the_scores_of_decisions(scored, tmp_path):
    items = corpus_of("classes").items
    sets = [known.label if n % 3 else ("sad",) for n, known in enumerate(items.values())]
    lines = [f"{name},{';'.join(own)}" for name, own in zip(items, sets, strict=True)]
    record = scored("classes", "\n".join(["id,label", *lines]))
    assert set(record["metrics"]) == {"macro_f1", "micro_f1", "exact_match"}
    true = [known.label for known in items.values()]
    expected = f1_score(has(true), has(sets), average="macro", zero_division=0)
    assert record["metrics"]["macro_f1"]["value"] == pytest.approx(expected)
    assert record["per_class"]["sad"]["threshold"] is None
    page = (tmp_path / "results.txt").read_text()
    assert "There are no probabilities" in page
    assert "trivial baselines use the labels of the scored recordings" in page


def test_probabilities_are_decided_by_a_half(scored):
    items = corpus_of("classes").items
    given = RNG.random((len(items), 3))
    lines = [
        f"{name},{','.join(map(repr, row.tolist()))}"
        for name, row in zip(items, given, strict=True)
    ]
    record = scored("classes", "\n".join(["id,calm,glad,sad", *lines]))
    true = has([known.label for known in items.values()])
    expected = f1_score(true, given >= 0.5, average="micro")
    assert record["metrics"]["micro_f1"]["value"] == pytest.approx(expected)
    expected = average_precision_score(true, given, average="macro")
    assert record["metrics"]["mean_average_precision"]["value"] == pytest.approx(expected)
    assert record["per_class"]["glad"]["threshold"] == 0.5


def has(sets):
    return np.array([[name in own for name in CLASSES] for own in sets])


@pytest.mark.parametrize(
    ("target", "text", "problem"),
    [
        ("numbers", "id,valence\nc0,1\n", "no column for arousal; found: id, valence"),
        ("numbers", "id,valence,arousal\nc0,1,nan\n", "line 2: arousal: expected a number"),
        ("numbers", "id,valence,arousal\nc0,1,1\n", "no prediction for 29 of 30 items"),
        ("classes", "id,label\nc0,calm;merry\n", "'merry' is none of the classes"),
        ("classes", "id,calm,glad,sad\nc0,1.5,0,0\n", "line 2: probability of calm"),
        ("classes", "id,label\nx,calm\n", "is of no item of these data: x"),
    ],
)
def test_what_is_no_prediction_is_refused(scored, target, text, problem):
    with pytest.raises(DataError, match=problem):
        scored(target, text)
