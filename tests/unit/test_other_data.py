"""Trained models on other data: shared classes, scores, the drop, near copies, mistakes."""

import html
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from affectlab.config.models import Bootstrap
from affectlab.config.other_data import OtherData, class_mistakes, shared_classes
from affectlab.datasets.description import Description
from affectlab.emotion.data import Data, Record
from affectlab.emotion.other_data import find_copies as text_copies
from affectlab.emotion.other_data import other_records
from affectlab.errors import ConfigError, DataError, UserError
from affectlab.evaluation.intervals import confusion_interval, share_interval
from affectlab.evaluation.other_answers import (
    Answers,
    copies_in_training,
    read_answers,
    write_answers,
)
from affectlab.evaluation.other_data import (
    Origin,
    OtherTest,
    independent_difference,
    interval_of,
    mapping_of,
    of_shared_classes,
    other_data_record,
    over_seeds,
    read_other_data,
    write_other_data,
)
from affectlab.evaluation.stats import Interval
from affectlab.experiments import read_config, validate_config
from affectlab.report.data_notes import DataNote
from affectlab.report.other_data import other_data_part
from affectlab.report.results import SeedResult

PROJECT = Path(__file__).parents[2]
SCHEMA = PROJECT / "workflow" / "schemas" / "other_data.schema.json"
CLASSES = ("anger", "fear", "joy", "sadness")


def answers(count, labels, seed=0, size=4, groups=None):
    """Random predictions for items with these labels, in turn."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(size), count)
    return Answers(
        [f"i{number:03d}" for number in range(count)],
        [number if groups is None else number % groups for number in range(count)],
        [labels[number % len(labels)] for number in range(count)],
        probabilities.argmax(axis=1),
        probabilities,
    )


def test_equal_names_need_no_entry_and_an_entry_decides():
    own, theirs = ("joy", "sadness", "calm"), ("happy", "calm", "sadness", "bored")
    assert shared_classes(own, theirs, {}) == {"calm": "calm", "sadness": "sadness"}
    assert shared_classes(own, theirs, {"happy": "joy", "calm": "joy"}) == {
        "happy": "joy",
        "calm": "joy",
        "sadness": "sadness",
    }


def test_names_that_no_data_have_and_too_few_shared_classes_are_reported():
    found = list(class_mistakes("x", ("joy", "fear"), ("happy", "fear"), {"hapy": "jo"}))
    assert found == [
        "x.classes.hapy: the other data have no class 'hapy'; did you mean 'happy'?",
        "x.classes.hapy: the run has no class 'jo'; did you mean 'joy'?",
        "x: expected at least 2 classes of both data sets, found 1; the other data have happy, "
        "fear, the run has joy, fear; name the pairs in classes",
    ]
    # Where the data of one side tell their classes later, those of the other are known.
    assert list(class_mistakes("x", ("joy", "fear"), None, {"happy": "joi"})) == [
        "x.classes.happy: the run has no class 'joi'; did you mean 'joy'?"
    ]
    assert list(class_mistakes("x", None, ("happy", "fear"), {"hapy": "joy"})) == [
        "x.classes.hapy: the other data have no class 'hapy'; did you mean 'happy'?"
    ]
    # Two of their classes are one of ours: one class is shared.
    with pytest.raises(UserError, match="found 1"):
        mapping_of("x", ("joy", "fear"), ("a", "b"), {"a": "joy", "b": "joy"})


def test_classes_that_differ_in_case_are_one():
    own, theirs = ("fear", "Freude", "anger"), ("Fear ", "FREUDE", "anger", "bored")
    assert mapping_of("r.test_on.d", own, theirs, {}) == {
        "Fear ": "fear",
        "FREUDE": "Freude",
        "anger": "anger",
    }
    given = {"FREUDE": "fear", "Fear ": "anger"}
    assert mapping_of("r.test_on.d", own, theirs, given) == {**given, "anger": "anger"}


def test_only_classes_that_both_samples_have_are_compared(tmp_path):
    tested = OtherTest("emotion", "r", 0, "d", {"happy": "joy"}, Bootstrap(), tmp_path, tmp_path)
    theirs = ("happy", "Fear", "anger", "sadness")
    both = tested.mapping(CLASSES, theirs, ["joy", "fear"], ["happy", "Fear", "anger", "Fear"])
    assert both == {"happy": "joy", "Fear": "fear"}
    both = tested.mapping(CLASSES, theirs, CLASSES, ["sadness", "anger"])
    assert both == {"anger": "anger", "sadness": "sadness"}


def test_scores_are_those_of_the_shared_classes():
    mapping = {"happy": "joy", "sad": "sadness", "cheerful": "joy"}
    given = answers(300, ["happy", "sad", "bored", "cheerful", "sad"], seed=3)
    found = of_shared_classes(given, CLASSES, mapping, 0.95)
    kept = [place for place, label in enumerate(given.labels) if label in mapping]
    true = [mapping[given.labels[place]] for place in kept]
    two = given.probabilities[kept][:, [2, 3]]
    decided = np.array(["joy", "sadness"])[two.argmax(axis=1)]
    everything = np.array(CLASSES)[given.probabilities[kept].argmax(axis=1)]
    assert found.counts == {"joy": 120, "sadness": 120}
    assert found.answers == {name: int((decided == name).sum()) for name in ("joy", "sadness")}
    assert interval_of(found.shared, "uar").value == pytest.approx(
        balanced_accuracy_score(true, decided)
    )
    assert interval_of(found.shared, "accuracy").value == pytest.approx(
        accuracy_score(true, decided)
    )
    # An answer that the other data do not have is wrong.
    recalls = [np.mean(everything[np.array(true) == name] == name) for name in ("joy", "sadness")]
    assert interval_of(found.all_classes, "uar").value == pytest.approx(np.mean(recalls))
    assert interval_of(found.all_classes, "uar").value < interval_of(found.shared, "uar").value


def test_intervals_respect_groups():
    mapping = {name: name for name in CLASSES}
    # All items of a group have one label and are right or wrong together.
    labels = [CLASSES[number // 10 % 4] for number in range(400)]
    right = np.array([number // 10 % 3 > 0 for number in range(400)])
    ids = np.array([CLASSES.index(name) for name in labels])
    decided = np.where(right, ids, (ids + 1) % 4)
    shares = np.eye(4)[decided]
    names = [str(number) for number in range(400)]
    alone = of_shared_classes(
        Answers(names, names, labels, decided, shares), CLASSES, mapping, 0.95
    )
    of_ten = [number // 10 for number in range(400)]
    together = of_shared_classes(
        Answers(names, of_ten, labels, decided, shares), CLASSES, mapping, 0.95
    )
    wide, narrow = (interval_of(one.shared, "uar") for one in (together, alone))
    assert wide.value == narrow.value
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_the_limits_of_the_drop_are_those_of_zou_and_donner():
    found = independent_difference(Interval(0.8, 0.7, 0.86), Interval(0.5, 0.42, 0.58))
    assert found.value == pytest.approx(0.3)
    assert found.low == pytest.approx(0.3 - math.sqrt(0.1**2 + 0.08**2))
    assert found.high == pytest.approx(0.3 + math.sqrt(0.06**2 + 0.08**2))
    assert independent_difference(Interval(1, 0.6, 1), Interval(0, 0, 0.5)).high == 1


def drawn_shares(generator, groups, size, share, correlation):
    """Hits and items ``[groups, 2]`` of groups whose items agree by *correlation*."""
    if correlation:
        spread = 1 / correlation - 1
        shares = generator.beta(share * spread, (1 - share) * spread, groups)
    else:
        shares = np.full(groups, share)
    return np.c_[generator.binomial(size, shares), np.full(groups, size)].astype(float)


@pytest.mark.parametrize(
    ("within", "other"),
    [
        # groups, items of each, accuracy, correlation within groups
        ((200, 1, 0.85, 0.0), (300, 1, 0.55, 0.0)),
        ((60, 1, 0.9, 0.0), (120, 1, 0.6, 0.0)),
        ((24, 16, 0.75, 0.2), (10, 50, 0.45, 0.1)),
        ((500, 1, 0.6, 0.0), (40, 4, 0.6, 0.3)),
    ],
)
def test_the_interval_of_the_drop_covers_the_truth(within, other, record_property):
    generator, draws = np.random.default_rng(5), 600
    true, covered = within[2] - other[2], 0
    for _ in range(draws):
        ours, theirs = (
            share_interval(drawn_shares(generator, *one), 0.95) for one in (within, other)
        )
        drop = independent_difference(ours, theirs)
        covered += drop.low <= true <= drop.high
    coverage = covered / draws
    record_property("coverage", float(coverage))
    # The standard error of a coverage of 0.95 is 0.009.
    assert 0.93 <= coverage <= 0.985


def test_the_interval_of_a_drop_in_recall_covers_the_truth(record_property):
    generator, draws, covered = np.random.default_rng(6), 400, 0
    recalls = np.array([0.9, 0.7, 0.8, 0.6]), np.array([0.7, 0.4, 0.6, 0.3])
    counts = np.array([60, 30, 45, 25]), np.array([20, 90, 30, 60])
    true = recalls[0].mean() - recalls[1].mean()
    for _ in range(draws):
        found = []
        for own, size in zip(recalls, counts, strict=True):
            labels = np.repeat(np.arange(4), size)
            right = generator.random(len(labels)) < own[labels]
            decided = np.where(right, labels, (labels + generator.integers(1, 4, len(labels))) % 4)
            columns = np.zeros((len(labels), 16))
            columns[np.arange(len(labels)), labels * 4 + decided] = 1
            found.append(confusion_interval("balanced_accuracy", columns, 0.95))
        drop = independent_difference(*found)
        covered += drop.low <= true <= drop.high
    record_property("coverage", float(covered / draws))
    assert 0.93 <= covered / draws <= 0.98


def test_the_mean_over_seeds_covers_seeds_from_three_on(record_property):
    one, two = {"value": 0.5, "ci": [0.4, 0.6]}, {"value": 0.6, "ci": [0.52, 0.66]}
    assert over_seeds([one], 0.95) == (0.5, (0.4, 0.6), "items")
    found = over_seeds([one, two], 0.95)
    assert found.covers == "items"
    assert found.ci == pytest.approx((0.55 - 0.09, 0.55 + 0.08))
    assert over_seeds([one, two, one], 0.95).covers == "items and seeds"
    # Seeds differ, and all are scored on the same items: the truth is the mean over all of both.
    generator, draws, covered = np.random.default_rng(2), 1000, 0
    for _ in range(draws):
        shared = generator.normal(0, 0.03)
        values = 0.5 + shared + generator.normal(0, 0.02, 3)
        entries = [{"value": v, "ci": [v - 1.96 * 0.03, v + 1.96 * 0.03]} for v in values]
        low, high = over_seeds(entries, 0.95).ci
        covered += low <= 0.5 <= high
    record_property("coverage", float(covered / draws))
    assert 0.94 <= covered / draws <= 0.995


def scored(labels=("anger", "joy"), copies=(), mapping=None):
    mapping = {"happy": "joy", "mad": "anger"} if mapping is None else mapping
    other = answers(90, ["happy", "mad", "mad", "bored"], seed=1, groups=30)
    within = answers(80, labels, seed=2)
    same = {name: name for name in mapping.values()}
    return other_data_record(
        classes=CLASSES,
        mapping=mapping,
        labels=other.labels,
        within=(Origin("own", "test"), of_shared_classes(within, CLASSES, same, 0.95)),
        other=(Origin("theirs", "all"), of_shared_classes(other, CLASSES, mapping, 0.95)),
        copies={"rule": "the same", "items": list(copies)},
        bootstrap=Bootstrap(),
    )


def stored(tmp_path, record):
    path = tmp_path / "metrics.json"
    tested = OtherTest("emotion", "r", 0, "theirs", {}, Bootstrap(), path, path)
    write_other_data(path, tested.header("corrected", 2), record, SCHEMA)
    return read_other_data(path)


def read_recipe():
    from affectlab.emotion.settings import EmotionRun

    return EmotionRun(method="tfidf")


def test_a_record_fits_its_schema_and_compares_like_with_like(tmp_path):
    # An own item of a class that the others lack is left out within as well.
    record = stored(tmp_path, scored(labels=("anger", "joy", "sadness")))
    assert record["left_out"] == {"bored": 22}
    assert record["shared_classes"] == ["anger", "joy"]
    assert (record["other"]["n"], record["within"]["n"]) == (68, 54)
    assert record["other"]["classes"] == {"anger": 45, "joy": 23}
    accuracy = record["shared"]["accuracy"]
    assert accuracy["other"]["baseline"] == {
        "name": "always_anger",
        "value": pytest.approx(45 / 68),
    }
    assert record["shared"]["uar"]["other"]["baseline"]["value"] == 0.5
    drop = accuracy["within"]["value"] - accuracy["other"]["value"]
    assert accuracy["drop"]["value"] == pytest.approx(drop, abs=1e-7)
    assert record["copies"] == {"rule": "the same", "items": [], "without": None}


def test_copies_are_scored_with_and_without(tmp_path):
    # i003 is of a class that is left out, and x is no item.
    record = stored(tmp_path, scored(copies=["i000", "i001", "i003", "x"]))
    assert record["copies"]["items"] == ["i000", "i001"]
    rest = record["copies"]["without"]
    assert rest["n"] == record["other"]["n"] - 2
    everything = scored(copies=[f"i{number:03d}" for number in range(90)])
    assert everything["copies"]["without"] is None


NOTES = {"theirs": DataNote("theirs", generated=True, differs=())}


def seed_result(folder, run, data, uar):
    """What the report needs of one seed of a run on its own data."""
    entry = {"value": uar, "ci": [uar - 0.1, uar + 0.1]}
    metrics = {
        "run": run,
        "seed": 0,
        "method": "tfidf",
        "model": {"name": None},
        "data": {"name": data, "n": 80, "classes": list(CLASSES)},
        "interval": {"level": 0.95},
        "metrics": {"macro_recall": entry},
    }
    return SeedResult(folder / run / "seed0", metrics, {}, None)


def test_the_report_has_a_matrix_and_a_sentence_for_each_run(tmp_path):
    record = scored(labels=("anger", "joy", "sadness"), copies=["i000", "i001"])
    (tmp_path / "r" / "seed0" / "on" / "theirs").mkdir(parents=True)
    stored(tmp_path / "r" / "seed0" / "on" / "theirs", record)
    results = {
        "r": [seed_result(tmp_path, "r", "own", 0.8)],
        "there": [seed_result(tmp_path, "there", "theirs", 0.7)],
        "far": [seed_result(tmp_path, "far", "else", 0.6)],
    }
    recipe = read_recipe()
    tested = recipe.model_copy(update={"test_on": {"theirs": OtherData()}})
    configured = {"r": tested, "there": recipe, "far": recipe}
    found = other_data_part("emotion", tmp_path, configured, results, NOTES)
    part = record["shared"]["uar"]
    (sentence,) = found.sentences
    assert sentence.startswith(
        f"r has an unweighted average recall of {part['other']['value']:.3f} on theirs (95 %"
        f" interval over items {part['other']['ci'][0]:.3f}–{part['other']['ci'][1]:.3f};"
    )
    assert "It includes 0: these items do not show that the score differs." in sentence
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.unescape(found.html)))
    rows = (
        "r own 0.800 0.700–0.900 own held-out items, 4 classes, n = 80"
        f" {part['other']['value']:.3f}",
        "there theirs – 0.700",
        "Items of other classes, which are not scored: 22 (bored).",
        "Items that the model was trained on, or nearly so: 2. Without them",
        "no test split: all items",
    )
    for row in rows:
        assert row in text, text
    assert "so it hardly tells the classes" not in text
    rows = {row["metric"]: row for row in found.rows}
    assert set(rows) == {"uar", "accuracy"}
    assert rows["uar"]["value"] == pytest.approx(part["other"]["value"], abs=1e-6)
    limits = [rows["uar"][name] for name in ("ci_low", "ci_high")]
    assert limits == pytest.approx(part["other"]["ci"], abs=1e-6)
    assert (rows["uar"]["run"], rows["uar"]["data"], rows["uar"]["n"]) == ("r", "theirs", 68)
    assert rows["accuracy"]["baseline"] == "always_anger"
    assert (rows["uar"]["headline"], rows["uar"]["data_note"]) == (False, "generated data")
    record["other"]["answers"] = {"anger": 62, "joy": 6}
    stored(tmp_path / "r" / "seed0" / "on" / "theirs", record)
    same = other_data_part("emotion", tmp_path, configured, results, NOTES).html
    assert "It predicts anger for 62 of 68 items, so it hardly tells the classes" in same
    # Trained and tested elsewhere: no row.
    assert " far " not in text
    assert other_data_part("emotion", tmp_path, configured, {"far": results["far"]}, {}).html == ""


def test_a_record_that_is_none_is_refused(tmp_path):
    stored(tmp_path, scored())
    path = tmp_path / "metrics.json"
    broken = json.loads(path.read_text()) | {"mapping": {}}
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    with pytest.raises(DataError, match="mapping: expected at least 2, found 0"):
        read_other_data(tmp_path / "broken.json")


def test_items_of_one_class_are_refused():
    with pytest.raises(UserError, match=r"fewer than two .* they have: joy"):
        of_shared_classes(answers(9, ["happy"]), CLASSES, {"happy": "joy", "mad": "anger"}, 0.95)


def test_answers_are_stored_and_checked(tmp_path):
    given, path = answers(6, ["happy", "mad"]), tmp_path / "predictions.jsonl"
    labels = dict(zip(given.ids, given.labels, strict=True))
    groups = dict(zip(given.ids, given.groups, strict=True))
    write_answers(path, given.ids, given.labels, CLASSES, given.probabilities)
    found = read_answers(path, CLASSES, labels, groups)
    assert found.predicted.tolist() == given.predicted.tolist()
    assert found.probabilities == pytest.approx(given.probabilities, abs=1e-6)
    lines = path.read_text().splitlines()
    first = json.loads(lines[0])
    wrong = (
        ({**first, "label": "mad"}, "is not that of the records"),
        ({**first, "prediction": "calm"}, "expected one of anger, fear, joy, sadness"),
        ({**first, "probabilities": [1, 1, 0, 0]}, "expected a sum of 1, found 2"),
        ({**first, "probabilities": [0.1, 0.2, 0.3, 0.4], "prediction": "anger"}, "higher"),
        ({**first, "id": "i002"}, "occurs twice"),
    )
    for number, (row, message) in enumerate(wrong):
        bad = tmp_path / f"bad{number}.jsonl"
        bad.write_text("\n".join([json.dumps(row), *lines[1:]]) + "\n")
        with pytest.raises(DataError, match=message):
            read_answers(bad, CLASSES, labels, groups)
    short = tmp_path / "short.jsonl"
    short.write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(DataError, match="no prediction for 1 items of the other data"):
        read_answers(short, CLASSES, labels, groups)


def texts(prefix, rows, folds=None):
    records = [
        Record(f"{prefix}{number}", text, "joy", split, None, None if folds is None else 0)
        for number, (text, split) in enumerate(rows)
    ]
    return Data(Description(("anger", "joy"), folds=folds), records)


def test_near_copies_of_training_texts_are_found(tmp_path):
    own = texts(
        "a",
        [
            ("i have never been so happy in all my life", "train"),
            ("what a long and dreary day it was", "test"),
            ("nobody asked me whether i wanted this", "validation"),
        ],
    )
    other = texts(
        "b",
        [
            ("I have NEVER been so happy in all my life!", "test"),
            ("what a long and dreary day it was", "test"),
            ("a text of its own that nobody else wrote", "test"),
            ("i have never been so happy in all my life", "train"),
        ],
    )
    path = tmp_path / "copies.json"
    text_copies(own, other, path)
    stored = json.loads(path.read_text())
    # The last text of the others is in their training split, which is not tested.
    assert stored["copies"] == {"b0": ["train"], "b1": ["test"]}
    assert copies_in_training(path, ("train",))["items"] == ["b0"]
    assert copies_in_training(path, ("train", "test"))["items"] == ["b0", "b1"]
    (tmp_path / "none.json").write_text('{"copies": []}')
    with pytest.raises(DataError, match="expected a rule and copies"):
        copies_in_training(tmp_path / "none.json", ("train",))


def test_the_test_split_is_tested_and_else_everything():
    rows = [("one text", "train"), ("two texts", "test"), ("three texts", "validation")]
    assert [one.id for one in other_records(texts("a", rows))[1]] == ["a1"]
    split, records = other_records(texts("a", rows, folds=3))
    assert (split, len(records)) == ("all", 3)


TABLE = {"path": "t.csv", "layout": "table", "columns": {"text": "t", "label": "l"}}
FOLDER = {"path": "i", "layout": "image_folder"}
VOICES = {"path": "v", "layout": "audio_folder"}


@pytest.mark.parametrize(
    ("experiment", "run", "tested", "expected"),
    [
        ("emotion", "tfidf", {"twets": {}},
         "test_on.twets: no data set is called 'twets'; did you mean 'tweets'?"),
        ("emotion", "tfidf", {"emotion": {}},
         "test_on.emotion: the run is trained on these data; expected another data set"),
        ("emotion", "tfidf", {"faces": {}},
         "test_on.faces: 'faces' has the layout 'image_folder', which the emotion experiment "
         "cannot read"),
        ("emotion", "tfidf", {"ratings": {}},
         "test_on.ratings: 'ratings' has the target numbers, expected class"),
        ("emotion", "tfidf", {"tweets": {}},
         "test_on.tweets: expected at least 2 classes of both data sets, found 1; the other data "
         "have happy, fear, the run has sadness, joy, love, anger, fear, surprise; name the pairs "
         "in classes"),
        ("emotion", "tfidf", {"tweets": {"classes": {"happy": "jo"}}},
         "test_on.tweets.classes.happy: the run has no class 'jo'; did you mean 'joy'?"),
        ("emotion", "tfidf", {"tweets": {"clases": {}}},
         "test_on.tweets.clases: unknown key; did you mean 'classes'?"),
        ("face", "compact", {"faces": {"classes": {"glad": "happy"}}},
         "test_on.faces: expected at least 2 classes of both data sets, found 1; the other data "
         "have glad, mad, the run has angry, disgust, fear, happy, neutral, sad, surprise; name "
         "the pairs in classes"),
        ("audio", "ravdess_8emo_logmel", {"emodb": {}},
         "test_on.emodb.task: missing; 'emodb' has labels for 3valence, 7emo"),
        ("audio", "ravdess_8emo_logmel", {"emodb": {"task": "3emo"}},
         "test_on.emodb.task: 'emodb' has no labels for '3emo'; it has: 3valence, 7emo"),
    ],
)  # fmt: skip
def test_mistakes_are_named(experiment, run, tested, expected):
    config = read_config(PROJECT)
    config["datasets"] |= {
        "tweets": {**TABLE, "classes": ["happy", "fear"]},
        "ratings": {**TABLE, "target": "numbers", "columns": {"text": "t", "label": ["v"]}},
        "faces": {**FOLDER, "classes": ["glad", "mad"]},
        "voices": VOICES,
    }
    runs = config[experiment]["runs"]
    origin = next(iter(runs)) if run not in runs else run
    if experiment == "audio":
        origin = next(name for name, one in runs.items() if one["data"] == "ravdess")
    runs["tested"] = {**runs[origin], "test_on": tested}
    if experiment == "audio":
        runs["tested"]["task"] = "8emo"
    with pytest.raises(ConfigError) as caught:
        validate_config(config, PROJECT)
    assert f"{experiment}.runs.tested.{expected}" in str(caught.value)


def test_predictions_of_somebody_else_are_not_tested_elsewhere():
    config = read_config(PROJECT)
    config["datasets"] |= {"tweets": {**TABLE, "classes": ["joy", "fear"]}}
    config["emotion"]["runs"]["theirs"] = {
        "method": "predictions",
        "seeds": [0],
        "data": "emotion",
        "predictions": {"path": "p.csv"},
        "test_on": {"tweets": {}},
    }
    with pytest.raises(ConfigError) as caught:
        validate_config(config, PROJECT)
    expected = "emotion.runs.theirs.test_on: does not go with method 'predictions'"
    assert expected in str(caught.value)


def test_a_run_that_is_like_another_one_has_its_own_list():
    config = read_config(PROJECT)
    config["datasets"] |= {"tweets": {**TABLE, "classes": ["joy", "fear"]}}
    runs = config["emotion"]["runs"]
    runs["tested"] = {**runs["tfidf"], "test_on": {"tweets": {}}}
    runs["there"] = {"like": "tested", "data": "tweets"}
    runs["back"] = {"like": "tested", "data": "tweets", "test_on": {"emotion": {}}}
    complete = validate_config(config, PROJECT)[0]["emotion"]["runs"]
    assert complete["tested"]["test_on"] == {"tweets": {"classes": {}}}
    assert complete["there"]["test_on"] == {}
    assert complete["back"]["test_on"] == {"emotion": {"classes": {}}}


def test_the_tested_data_are_needed():
    config = read_config(PROJECT)
    config["datasets"] |= {"tweets": {**TABLE, "classes": ["joy", "fear"]}}
    runs = config["emotion"]["runs"]
    runs["tested"] = {**runs["tfidf"], "test_on": {"tweets": {}}}
    config["emotion"]["selected"] = ["tested"]
    config["experiments"] = ["emotion"]
    from affectlab.experiments import needed_assets

    complete = validate_config(config, PROJECT)[0]
    assert "tweets" in needed_assets(complete)[0]
