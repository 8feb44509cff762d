import json

import numpy as np
import pytest
from emotion_tables import converted, data_in, data_of, described

from affectlab.datasets.splits import SPLITS
from affectlab.emotion import audit
from affectlab.emotion import convert as conversion
from affectlab.emotion.data import CLASSES, Record, read_data
from affectlab.errors import UserError
from affectlab.files.io import write_json
from affectlab.files.quarantine import BadRecord
from affectlab.samples.emotion import write_corpus


def make_corpus(size=12):
    """Two records of each class in each split, all texts different."""
    return [
        Record(
            f"{split}-{n + 1:05d}", f"i feel {split} number {n}", CLASSES[n % len(CLASSES)], split
        )
        for split in SPLITS
        for n in range(size)
    ]


def add(records, split, text, label):
    number = sum(record.split == split for record in records) + 1
    records.append(Record(f"{split}-{number:05d}", text, label, split))


def test_it_finds_what_was_planted(tmp_path):
    planted = write_corpus(
        tmp_path,
        seed=7,
        train=400,
        conflicting=8,
        duplicates=5,
        variants=3,
        test_overlap=6,
        validation_overlap=2,
    )
    found = audit.audit(data_of(conversion.read_raw(tmp_path)))
    train = found["counts"]["train"]
    assert train["records"] == 400
    assert train["unique_texts"] == planted.unique_train_texts
    assert train["unique_normalised_texts"] == planted.unique_train_texts - 3
    assert found["conflicts"]["train"]["texts"] == 8
    assert found["duplicates"]["train"]["exact"] == {
        "texts": 8 + 5,
        "surplus": 8 + 5,
        "same_label_texts": 5,
    }
    assert found["duplicates"]["train"]["normalised"]["texts"] == 8 + 5 + 3
    assert len(found["overlap"]["test_in_train"]) == 6
    assert found["overlap"]["exact"] == {
        "test_in_train": 6,
        "validation_in_train": 2,
        "test_in_validation": 0,
    }
    for split in ("validation", "test"):
        assert found["conflicts"][split]["texts"] == 0
        assert found["duplicates"][split]["exact"]["surplus"] == 0


def test_a_clean_corpus_has_no_findings():
    found = audit.audit(data_of(make_corpus()))
    for split in SPLITS:
        assert found["conflicts"][split] == {"texts": 0, "normalised_texts": 0, "groups": []}
        assert found["duplicates"][split]["groups"] == []
    assert found["overlap"] == {
        "exact": {"test_in_train": 0, "validation_in_train": 0, "test_in_validation": 0},
        "other_label": {"test_in_train": 0, "validation_in_train": 0, "test_in_validation": 0},
        "test_in_train": [],
        "validation_in_train": [],
        "test_in_validation": [],
    }
    assert found["expected"] == []
    assert found["quarantine"] == {"records": 0, "by_file": {}, "by_problem": {}}


def test_conflicts_by_hand():
    records = make_corpus()
    for label in ("joy", "joy", "love"):
        add(records, "train", "i feel warm", label)
    add(records, "train", "I  feel warm", "fear")  # a conflict only after normalisation
    add(records, "train", "i feel cold", "fear")
    add(records, "train", "I FEEL COLD", "sadness")
    found = audit.audit(data_of(records))["conflicts"]["train"]
    assert (found["texts"], found["normalised_texts"]) == (1, 2)
    assert found["groups"] == [
        {
            "train-00013": "joy",
            "train-00014": "joy",
            "train-00015": "love",
            "train-00016": "fear",
        },
        {"train-00017": "fear", "train-00018": "sadness"},
    ]


def test_duplicates_by_hand():
    records = make_corpus()
    for label in ("joy", "joy", "love"):
        add(records, "train", "i feel warm", label)
    for _ in range(2):
        add(records, "train", "i feel cold", "fear")
    found = audit.audit(data_of(records))["duplicates"]["train"]
    assert found["exact"] == {"texts": 2, "surplus": 3, "same_label_texts": 1}
    assert found["groups"] == [
        ["train-00013", "train-00014", "train-00015"],
        ["train-00016", "train-00017"],
    ]


def test_overlap_by_hand():
    records = make_corpus()
    add(records, "train", "i feel warm", "joy")
    add(records, "train", "i feel warm", "love")
    add(records, "test", "i feel warm", "love")  # a twin with the same label, and one with another
    add(records, "test", "I feel   warm", "fear")  # only after normalisation; no twin with fear
    add(records, "validation", "i feel warm", "anger")
    found = audit.audit(data_of(records))["overlap"]
    assert found["test_in_train"] == ["test-00013", "test-00014"]
    assert found["test_in_validation"] == ["test-00013", "test-00014"]
    assert found["validation_in_train"] == ["validation-00013"]
    assert found["exact"] == {
        "test_in_train": 1,
        "validation_in_train": 1,
        "test_in_validation": 1,
    }
    assert found["other_label"] == {
        "test_in_train": 1,
        "validation_in_train": 1,
        "test_in_validation": 2,
    }


def test_counts_and_lengths_against_numpy(tmp_path):
    write_corpus(tmp_path, seed=3, train=317)
    records = list(conversion.read_raw(tmp_path))
    found = audit.audit(data_of(records))["counts"]
    for split in SPLITS:
        items = [record for record in records if record.split == split]
        for name, lengths in (
            ("characters", [len(r.text) for r in items]),
            ("words", [len(r.text.split()) for r in items]),
        ):
            expected = np.quantile(lengths, audit.QUANTILES, method="lower")
            assert list(found[split][name].values()) == expected.tolist()
        for label in CLASSES:
            number = sum(record.label == label for record in items)
            assert found[split]["classes"][label] == number
            assert found[split]["shares"][label] == pytest.approx(number / len(items), rel=1e-3)


def test_quarantine_is_counted():
    bad = [
        BadRecord("train.txt", "line 3", "the text is empty"),
        BadRecord("train.txt", "line 9", "the text is empty"),
        BadRecord("test.txt", "line 1", "expected UTF-8, found byte 0xe8"),
    ]
    found = audit.audit(data_of(make_corpus()), bad, {"known_issues": {"quarantined_records": 3}})
    assert found["quarantine"] == {
        "records": 3,
        "by_file": {"train.txt": 2, "test.txt": 1},
        "by_problem": {"the text is empty": 2, "expected UTF-8, found byte 0xe8": 1},
    }
    assert found["expected"][0]["status"] == "ok"


def test_comparison_with_the_registry():
    records = make_corpus()
    add(records, "train", "i feel warm", "joy")
    add(records, "train", "i feel warm", "love")
    expected = {
        "counts": {"train": 14, "test": 99},
        "classes": {"joy": 7, "love": 6},
        "known_issues": {
            "conflicting_texts": 1,
            "duplicate_texts": 1,
            "unique_train_texts": 13,
            "test_texts_in_train": 11,
            "validation_texts_in_train": 0,
        },
    }
    found = audit.audit(data_of(records), expected=expected)["expected"]
    assert [(row["what"], row["expected"], row["found"], row["status"]) for row in found] == [
        ("records of train", 14, 14, "ok"),
        ("records of test", 99, 12, "differs"),
        ("records of class joy", 7, 7, "ok"),
        ("records of class love", 6, 7, "differs"),
        ("conflicting texts", 1, 1, "ok"),
        ("duplicate texts", 1, 1, "ok"),
        ("unique train texts", 13, 13, "ok"),
        ("test texts in train", 11, 0, "differs"),
        ("validation texts in train", 0, 0, "ok"),
    ]


def test_an_expectation_it_does_not_know():
    with pytest.raises(UserError, match="did you mean conflicting_texts"):
        audit.audit(data_of(make_corpus()), expected={"known_issues": {"conflicting_text": 3}})


def test_all_breakage_is_named_at_once():
    records = [
        record
        for record in make_corpus()
        if record.split != "validation" and (record.split, record.label) != ("test", "love")
    ]
    bad = [BadRecord("test.txt", f"line {n}", "the text is empty") for n in range(5)]
    with pytest.raises(UserError) as caught:
        audit.audit(data_of(records), bad)
    message = str(caught.value)
    assert "the split validation has no records" in message
    assert "the split test has no record of love" in message
    assert "5 of 27 records are bad, more than 10%" in message


def test_a_few_bad_records_are_no_breakage():
    bad = [BadRecord("test.txt", f"line {n}", "the text is empty") for n in range(4)]
    # Exactly 10 % of 40.
    assert audit.audit(data_of(make_corpus()), bad)["quarantine"]["records"] == 4


def test_a_copied_split_is_breakage():
    records = make_corpus()
    train = [record for record in records if record.split == "train"]
    copied = [r for r in records if r.split != "test"] + [
        Record(r.id.replace("train", "test"), r.text.upper(), r.label, "test") for r in train
    ]
    with pytest.raises(UserError, match="12 of the 12 texts of test stand in train"):
        audit.audit(data_of(copied))


def test_files(tmp_path):
    write_corpus(tmp_path / "raw", train=200)
    with (tmp_path / "raw" / "train.txt").open("a") as stream:
        stream.write("no label\n")
    outputs = converted(tmp_path / "raw", tmp_path, on_bad_record="skip")
    for name in ("a", "b"):
        audit.write_audit(
            data_in(tmp_path), outputs.quarantine, tmp_path / name, {"counts": {"train": 200}}
        )
    found = json.loads((tmp_path / "a").read_text())
    assert found["quarantine"]["by_file"] == {"train.txt": 1}
    assert found["expected"][0]["status"] == "ok"
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    texts = {record.text for record in data_in(tmp_path).records}
    assert not any(text in (tmp_path / "a").read_text() for text in texts)


def test_nothing_is_written_on_breakage(tmp_path):
    (tmp_path / "q.jsonl").write_text("")
    row = {"id": "train-00001", "text": "i feel", "label": "joy", "split": "train"}
    (tmp_path / "r.jsonl").write_text(json.dumps(row) + "\n")
    write_json(tmp_path / "audit.json", {})
    with pytest.raises(UserError, match="cannot be used"):
        audit.write_audit(
            read_data(tmp_path / "r.jsonl", described(tmp_path)),
            tmp_path / "q.jsonl",
            tmp_path / "audit.json",
        )
    assert (tmp_path / "audit.json").read_text() == "{}\n"
