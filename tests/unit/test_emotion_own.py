"""A user's own table of texts: how it is read, divided, audited and scored."""

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from emotion_tables import converted, data_in, data_of
from own_texts import CLASSES, rows_of, write_csv
from scored_runs import BOOTSTRAP, SCHEMAS, scored_run
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.tree import DecisionTreeClassifier

from affectlab.config.load import load_config
from affectlab.datasets.traps import near_items, shared_items
from affectlab.emotion import audit
from affectlab.emotion.compare import compare
from affectlab.emotion.data import Record
from affectlab.emotion.evaluate import evaluate
from affectlab.emotion.score_classes import corpus_of
from affectlab.emotion.settings import EmotionRun, baseline_in_use
from affectlab.emotion.train_tfidf import cross_validate
from affectlab.errors import DataError
from affectlab.evaluation.records import origin_record
from affectlab.experiments import validate_config
from affectlab.files.io import read_json, read_jsonl, write_json
from affectlab.files.quarantine import BadRecord

PROJECT = Path(__file__).parents[2]


def entry_of(**values):
    columns = {"text": "tweet", "label": "emo"} | values.pop("columns", {})
    return {"layout": "table", "columns": columns, **values}


GROUPED = entry_of(columns={"group": "who"})


def test_the_overlay_of_the_page_is_valid(tmp_path):
    page = (PROJECT / "docs" / "emotion.md").read_text()
    # Those that follow are parts of one.
    block = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0]
    (tmp_path / "mine.yaml").write_text(block)
    complete, registries = validate_config(load_config(PROJECT, [tmp_path / "mine.yaml"]), PROJECT)
    assert baseline_in_use(complete["emotion"]) == "tweets_tfidf"
    assert registries.datasets["tweets"]["split"] == {"folds": 5}
    for (trap,) in (shared_items({("test", "train"): 1}, "texts"), near_items(1, 0, "texts")):
        assert f"| `{trap.name}` |" in page


# --- what is read


def test_classes_come_from_the_data_sorted_or_from_the_entry(tmp_path):
    raw = write_csv(tmp_path / "raw", rows_of(80))
    converted(raw, tmp_path, entry_of())
    assert data_in(tmp_path).classes == CLASSES
    listed = ["Wut", "Ruhe", "Freude", "Angst", "Liebe"]
    converted(raw, tmp_path, entry_of(classes=listed))
    data = data_in(tmp_path)
    assert data.classes == tuple(listed)
    first = data.records[0]
    assert data.labels_of([first]).tolist() == [listed.index(first.label)]


def test_classes_that_are_numbers_are_in_the_order_of_their_values(tmp_path):
    rows = [row | {"emo": str((n % 4) * 5)} for n, row in enumerate(rows_of(80))]
    converted(write_csv(tmp_path / "raw", rows), tmp_path, entry_of())
    assert data_in(tmp_path).classes == ("0", "5", "10", "15")


def test_a_label_that_is_not_listed_stops_with_its_line(tmp_path):
    raw = write_csv(tmp_path / "raw", rows_of(80))
    with pytest.raises(DataError, match=r"mine\.csv, line 5: unknown label 'Wut'"):
        converted(raw, tmp_path, entry_of(classes=["Angst", "Freude", "Ruhe"]))


BAD_ROWS = {
    "no text": ({"tweet": " "}, "the text is empty"),
    "no label": ({"emo": ""}, "the label is empty"),
    "a NUL": ({"tweet": "a\0b"}, "NUL"),
}


@pytest.mark.parametrize(("change", "problem"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_reported_with_its_line_or_set_aside(tmp_path, change, problem):
    rows = rows_of(80)
    rows[7] |= change
    raw = write_csv(tmp_path / "raw", rows)
    with pytest.raises(DataError, match=r"mine\.csv, line 9: .*" + problem):
        converted(raw, tmp_path, entry_of())
    outputs = converted(raw, tmp_path, entry_of(), on_bad_record="skip")
    assert len(data_in(tmp_path).records) == 79
    (bad,) = [BadRecord(**row) for row in read_jsonl(outputs.quarantine)]
    assert (bad.file, bad.place) == ("mine.csv", "line 9")
    assert problem in bad.problem
    # The ids are those of the places in the table, so the others keep theirs.
    assert {record.id for record in data_in(tmp_path).records} == {
        f"{n:05d}" for n in range(1, 81) if n != 8
    }


def test_a_table_without_a_good_row_is_refused(tmp_path):
    rows = [row | {"tweet": ""} for row in rows_of(8)]
    raw = write_csv(tmp_path / "raw", rows)
    with pytest.raises(DataError, match="not one good record"):
        converted(raw, tmp_path, entry_of(), on_bad_record="skip")


def test_ids_that_occur_twice_are_refused(tmp_path):
    rows = [row | {"id": f"n{n}"} for n, row in enumerate(rows_of(80))]
    converted(write_csv(tmp_path / "raw", rows), tmp_path, entry_of())
    assert data_in(tmp_path).records[3].id == "n3"
    rows[40]["id"] = "n3"
    write_csv(tmp_path / "raw", rows)
    with pytest.raises(DataError, match="the id 'n3' occurs 2 times"):
        converted(tmp_path / "raw", tmp_path, entry_of())


def test_spellings_of_a_class_are_refused_or_merged(tmp_path):
    rows = rows_of(80)
    rows[0]["emo"], rows[4]["emo"] = "angst", " Angst"
    raw = write_csv(tmp_path / "raw", rows)
    with pytest.raises(DataError, match=r"differ in spelling only.*similar_names: merge"):
        converted(raw, tmp_path, entry_of())
    converted(raw, tmp_path, entry_of(), similar_names="merge")
    data = data_in(tmp_path)
    assert data.classes == CLASSES
    assert Counter(record.label for record in data.records)["Angst"] == 20


# --- how it is divided


def test_texts_of_an_author_stay_together_in_any_spelling(tmp_path):
    rows = rows_of(240)
    for row in rows[::2]:
        row["who"] = f" {row['who'].upper()}"
    converted(write_csv(tmp_path / "raw", rows), tmp_path, GROUPED)
    data = data_in(tmp_path)
    assert data.description.group == "who"
    homes = {}
    for record in data.records:
        homes.setdefault(record.group.strip().lower(), set()).add(record.split)
    assert len(homes) == 12
    assert all(len(splits) == 1 for splits in homes.values())
    assert set.union(*homes.values()) == {"train", "validation", "test"}


def test_equal_texts_stay_together_without_authors(tmp_path):
    rows = rows_of(120)
    rows += [row | {"tweet": row["tweet"].upper()} for row in rows[:60]]
    converted(write_csv(tmp_path / "raw", rows), tmp_path, entry_of())
    data = data_in(tmp_path)
    assert data.description.group == "content"
    homes = {}
    for record in data.records:
        homes.setdefault(record.text.lower(), set()).add(record.split)
    assert {len(splits) for splits in homes.values()} == {1}
    assert audit.audit(data)["overlap"]["test_in_train"] == []


def test_a_text_without_an_author_is_alone(tmp_path):
    rows = [row | {"who": "" if n % 2 else row["who"]} for n, row in enumerate(rows_of(240))]
    converted(write_csv(tmp_path / "raw", rows), tmp_path, GROUPED)
    records = data_in(tmp_path).records
    assert sum(record.group is None for record in records) == 120
    assert {record.split for record in records if record.group is None} == {
        "train",
        "validation",
        "test",
    }


def test_a_split_column_is_kept_as_it_is(tmp_path):
    parts = ["train", "train", "dev", "TEST"]
    rows = [row | {"part": parts[n // 4 % 4]} for n, row in enumerate(rows_of(80))]
    entry = entry_of(split={"column": "part"})
    converted(write_csv(tmp_path / "raw", rows), tmp_path, entry)
    data = data_in(tmp_path)
    assert Counter(record.split for record in data.records) == {
        "train": 40,
        "validation": 20,
        "test": 20,
    }
    # Nothing was made at random.
    assert data.description.seed is None


def test_the_division_is_stored_with_seed_and_hash(tmp_path):
    raw = write_csv(tmp_path / "raw", rows_of(80))
    found = []
    for seed in (3, 3, 4):
        converted(raw, tmp_path, entry_of(split={"seed": seed}))
        found.append(data_in(tmp_path).description)
    assert [one.seed for one in found] == [3, 3, 4]
    assert found[0] == found[1]
    assert found[0].split_sha256 != found[2].split_sha256


FOLDED = GROUPED | {"split": {"folds": 5}}


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folded")
    converted(write_csv(folder / "raw", rows_of(240)), folder, FOLDED)
    return data_in(folder)


def test_each_fold_is_tested_once_by_a_model_that_never_saw_it(folded):
    assert folded.description.folds == 5
    tested = []
    for fold in range(5):
        own = folded.for_fold(fold)
        parts = own.by_split()
        ids = {split: {record.id for record in members} for split, members in parts.items()}
        assert not ids["train"] & (ids["test"] | ids["validation"])
        assert {record.fold for record in parts["test"]} == {fold}
        assert {record.fold for record in parts["validation"]} == {(fold + 1) % 5}
        authors = {split: {record.group for record in own} for split, own in parts.items()}
        assert not authors["train"] & authors["test"]
        tested += ids["test"]
    assert sorted(tested) == sorted(record.id for record in folded.records)


def test_too_few_authors_for_the_folds_are_reported_before_any_training(tmp_path):
    raw = write_csv(tmp_path / "raw", rows_of(80, authors=3))
    with pytest.raises(DataError, match="3 groups of items are too few for 5 folds"):
        converted(raw, tmp_path, FOLDED)


# --- how it is scored


def test_a_cross_validated_corpus_holds_each_item_once(folded):
    corpus = corpus_of(folded)
    ids = {record.id for record in folded.records}
    for split in ("train", "validation", "test"):
        assert set(corpus.labels[split]) == ids
    for found in corpus.conditions.values():
        assert set(found) == ids
    authors = {record.id: record.group for record in folded.records}
    homes = {}
    for name, number in corpus.group.items():
        homes.setdefault(authors[name], set()).add(number)
    assert all(len(numbers) == 1 for numbers in homes.values())


def length_tells_the_class(folds):
    """Texts whose number of words is that of their class."""
    return data_of(
        [
            Record(f"t{n:03d}", "wort " * (3 + 4 * (n % 4)) + f"q{n:03d}x", CLASSES[n % 4], "train",
                   fold=n // 4 % folds)
            for n in range(120)
        ],
        CLASSES,
        folds,
    )  # fmt: skip


@pytest.mark.parametrize("case", ["clear", "noisy"])
def test_conditions_are_learnt_without_the_fold_that_they_predict(folded, case):
    data = length_tells_the_class(4) if case == "clear" else folded
    folds = data.description.folds
    found = corpus_of(data).conditions
    table = np.array([[len(r.text), len(r.text.split())] for r in data.records], dtype=float)
    labels = np.array([CLASSES.index(record.label) for record in data.records])
    fold_of = np.array([record.fold for record in data.records])
    for name, weight in (("conditions", None), ("conditions_balanced", "balanced")):
        expected = np.zeros(len(labels), dtype=int)
        for fold in range(folds):
            training = ~np.isin(fold_of, (fold, (fold + 1) % folds))
            tree = DecisionTreeClassifier(
                max_depth=4,
                min_samples_leaf=max(2, round(0.01 * training.sum())),
                class_weight=weight,
                random_state=0,
            )
            # All texts have one script, which so tells nothing.
            test = fold_of == fold
            constant = np.ones((len(table), 1))
            full = np.hstack([table, constant])
            expected[test] = tree.fit(full[training], labels[training]).predict(full[test])
        ours = np.array([found[name][record.id] for record in data.records])
        np.testing.assert_array_equal(ours, expected)
    if case == "clear":
        np.testing.assert_array_equal(ours, labels)


def by_hand(data, strength):
    """Predictions of scikit-learn for each fold, by a model of the other folds but one."""
    predicted = {}
    folds = data.description.folds
    for fold in range(folds):
        rest = [r for r in data.records if r.fold not in (fold, (fold + 1) % folds)]
        held_out = [r for r in data.records if r.fold == fold]
        vectorizer = TfidfVectorizer(min_df=2, sublinear_tf=True)
        features = vectorizer.fit_transform([r.text for r in rest])
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000, tol=1e-8)
        model.fit(features, [r.label for r in rest])
        found = model.predict(vectorizer.transform([r.text for r in held_out]))
        predicted |= dict(zip([r.id for r in held_out], found, strict=True))
    return predicted


def test_the_pooled_score_is_that_of_scikit_learn(folded, tmp_path):
    generator = np.random.default_rng(0)
    # One label in three is wrong, so that the score is no round number.
    noisy = [
        replace(one, label=str(generator.choice(CLASSES))) if generator.random() < 0.4 else one
        for one in folded.records
    ]
    data = replace(folded, records=noisy)
    run = EmotionRun(method="tfidf", data="mine")
    path = tmp_path / "predictions.jsonl"
    cross_validate(data, run, 0, path, ["validation", "test"])
    rows = [row for row in read_jsonl(path) if row["split"] == "test"]
    expected = by_hand(data, run.tfidf.C)
    assert {row["id"]: row["prediction"] for row in rows} == expected
    write_json(tmp_path / "audit.json", audit.audit(data))
    write_json(tmp_path / "training.json", {"seconds": 1.0, "device": "cpu", **origin_record()})
    evaluate(
        scored_run(tmp_path, run, training_path=tmp_path / "training.json"),
        predictions_path=path,
        data=data,
        data_paths=(path,),
        audit_path=tmp_path / "audit.json",
        baseline=None,
        text_path=tmp_path / "results.txt",
        figures=tmp_path / "figures",
    )
    record = read_json(tmp_path / "metrics.json")
    assert (record["data"]["split"], record["data"]["n"]) == ("cross-validation", 240)
    assert record["data"]["groups"] == 12
    accuracy = record["metrics"]["accuracy"]
    labels = [one.label for one in data.records]
    assert accuracy["value"] == pytest.approx(
        accuracy_score(labels, [expected[one.id] for one in data.records])
    )
    assert accuracy["ci"][0] < accuracy["value"] < accuracy["ci"][1]
    assert accuracy["baseline"] is not None
    assert "n = 240" in (tmp_path / "results.txt").read_text()
    compare(
        metrics_paths=[tmp_path / "metrics.json"],
        predictions_paths=[path],
        data={"mine": data},
        baseline=None,
        bootstrap=BOOTSTRAP,
        schema=SCHEMAS / "comparison.schema.json",
        output_path=tmp_path / "comparison.json",
    )
    (summary,) = read_json(tmp_path / "comparison.json")["runs"]
    assert summary["split"] == "cross-validation"
    assert summary["metrics"]["accuracy"]["mean"] == pytest.approx(accuracy["value"])


# --- what the audit finds


def traps_of(data):
    return {trap["name"]: trap["sentence"] for trap in audit.audit(data)["traps"]}


def divided(folder, rows, **entry):
    converted(write_csv(folder / "raw", rows), folder, entry_of(**entry))
    return data_in(folder)


def split_rows(count=120):
    """Rows with a split column: half of the authors in train."""
    parts = {0: "validation", 1: "test", 2: "test"}
    return [row | {"part": parts.get(n // 4 % 6, "train")} for n, row in enumerate(rows_of(count))]


SPLIT = {"split": {"column": "part"}}
SPLIT_GROUPED = {**SPLIT, "columns": {"group": "who"}}


def test_clean_data_have_no_traps(tmp_path):
    assert traps_of(divided(tmp_path, split_rows(), **SPLIT_GROUPED)) == {}


def test_an_item_in_two_splits_is_reported(tmp_path):
    rows = split_rows()
    by_part = {part: [row for row in rows if row["part"] == part] for part in ("train", "test")}
    for place in range(3):
        by_part["test"][place]["tweet"] = by_part["train"][place]["tweet"].upper()
    found = traps_of(divided(tmp_path, rows, **SPLIT))
    assert found["item_in_two_splits"] == (
        "Some texts are in two splits (test and train: 3). A model can score well on them by "
        "memory."
    )


def test_near_duplicates_are_reported(tmp_path):
    rows = split_rows()
    train = next(row for row in rows if row["part"] == "train")
    test = next(row for row in rows if row["part"] == "test")
    train["tweet"] = "wir haben 5 Stunden lang auf den Bus gewartet"
    test["tweet"] = "Wir haben 12 Stunden lang auf den Bus gewartet!"
    found = traps_of(divided(tmp_path, rows, **SPLIT))
    assert found["near_duplicates"].startswith("1 group of texts read nearly the same")
    assert "A trained model is scored once on such a copy" in found["near_duplicates"]


def test_an_author_in_two_spellings_is_reported(tmp_path):
    rows = split_rows()
    rows[0]["who"] = "A0 "
    found = traps_of(divided(tmp_path, rows, **SPLIT_GROUPED))
    assert "In the column who, 1 name is spelled" in found["name_in_two_spellings"]


def test_a_length_that_predicts_the_class_is_reported(tmp_path):
    rows = split_rows()
    for row in rows:
        row["tweet"] += " und noch mehr" * 4 * CLASSES.index(row["emo"])
    found = traps_of(divided(tmp_path, rows, **SPLIT))
    assert "characters" in found["condition_predicts_class"]


def test_a_class_with_fewer_items_than_folds_is_reported(tmp_path):
    rows = rows_of(120)
    for row in rows[3::4][2:]:
        row["emo"] = "Angst"
    found = traps_of(divided(tmp_path, rows, split={"folds": 5}))
    assert found["class_smaller_than_folds"].startswith(
        "The class Wut is rare (number of texts: 2). The data have 5 parts"
    )


def test_authors_of_one_class_each_are_reported(tmp_path):
    rows = [row | {"who": f"{row['emo']} {n // 4 % 12}"} for n, row in enumerate(rows_of(120))]
    found = traps_of(divided(tmp_path, rows, columns={"group": "who"}))
    assert "48 of 48 groups by who" in found["label_constant_per_group"]


def test_near_duplicates_in_other_folds_are_left_out_of_the_clean_score(folded):
    """A fold keeps equal texts together, but not those that are nearly the same."""
    lines = [
        replace(one, text=f"wir haben {one.fold} Stunden lang auf den Bus gewartet")
        if one.id in ("00001", "00005", "00009", "00013", "00017")
        else one
        for one in folded.records
    ]
    data = replace(folded, records=lines)
    assert len({one.fold for one in lines[:20:4]}) > 2
    found = audit.audit(data)
    changed = [one for one in lines if "gewartet" in one.text]
    expected = {
        one.id
        for one in changed
        if any(
            other.fold not in (one.fold, (one.fold + 1) % 5) and other.text != one.text
            for other in changed
        )
    }
    assert expected
    assert set(found["near_duplicates"]["overlap"]["test_in_train"]) == expected


# --- memory


def test_conversion_memory_does_not_grow_with_the_rows(tmp_path):
    """Ten times the rows: less than 10 % more memory, measured in processes of their own."""
    code = (
        "import json, sys; from pathlib import Path;"
        "from affectlab.emotion.convert import Outputs, convert;"
        "out = Path(sys.argv[2]);"
        "convert(sys.argv[1], Outputs(out / 'r', out / 'q', out / 'd'), json.loads(sys.argv[3]));"
        # Of this process alone: the peak of `getrusage` is at least that of its parent.
        "status = Path('/proc/self/status').read_text();"
        "print(status.partition('VmHWM:')[2].split()[0])"
    )
    peaks = []
    for count in (5_000, 50_000):
        raw = write_csv(tmp_path / f"raw{count}", rows_of(count, authors=count // 20))
        out = tmp_path / f"out{count}"
        out.mkdir()
        command = [sys.executable, "-c", code, str(raw), str(out), json.dumps(GROUPED)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        with (out / "r").open() as stream:
            assert sum(1 for _ in stream) == count
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.1 * peaks[0]


@pytest.mark.parametrize("role", ["text", "label", "group", "id"])
def test_half_a_surrogate_pair_in_any_cell_sets_the_row_aside(tmp_path, role):
    rows = [
        {"id": f"i{n}", "text": f"text {n} of many", "label": "ab"[n % 2], "group": f"g{n}"}
        for n in range(40)
    ]
    rows[3][role] += "\ud800"
    (tmp_path / "raw").mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "raw" / "own.jsonl").write_text(lines)
    outputs = converted(tmp_path / "raw", tmp_path, {"layout": "table"}, on_bad_record="skip")
    [bad] = read_jsonl(outputs.quarantine)
    assert bad["place"] == "line 4"
    assert bad["problem"] == f"the {role} holds half a surrogate pair, expected valid Unicode"
