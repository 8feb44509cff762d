"""Readers of the entity experiment: layouts, offsets, bad records, splits, stages, weak spans."""

import json
import math
import random
from dataclasses import replace
from itertools import pairwise

import pytest
from blocks import changed

from affectlab.datasets.description import Description
from affectlab.datasets.texts import normalise_text
from affectlab.entity import corrupt
from affectlab.entity.audit import audit, write_audit
from affectlab.entity.convert import convert
from affectlab.entity.data import (
    Data,
    Record,
    Target,
    of_split,
    read_data,
    read_records,
    stage_subset,
    targets_of,
)
from affectlab.entity.labels import (
    CLASSES,
    GOEMOTIONS_CLASSES,
    NEUTRAL,
    generations_of,
    soft_label_of_ids,
)
from affectlab.entity.settings import Split
from affectlab.entity.splits import split_records
from affectlab.entity.weak_spans import weak_spans
from affectlab.errors import DataError, UserError
from affectlab.files.io import read_json, read_jsonl
from affectlab.samples.entity import write_goemotions, write_spans

SPLIT = Split(validation=0.2, test=0.2)
JOY = CLASSES.index("joy")


def label(**shares):
    return [shares.get(name, 0.0) for name in CLASSES]


def span(text, words, soft, **changes):
    start = text.index(words)
    fields = {
        "span_text": words,
        "char_start": start,
        "char_end": start + len(words),
        "soft_label": soft,
        "intensity": math.hypot(*soft),
    }
    return fields | changes


def line(text, *targets):
    return json.dumps({"text": text, "targets": list(targets)})


def filler():
    """Good lines, so that a file with one bad line is not refused as a whole."""
    return [line(f"Ada saw {n}.", span(f"Ada saw {n}.", "Ada", label(joy=0.5))) for n in range(9)]


def published(records):
    return Data(Description(CLASSES), records)


def run(folder, lines, *, layout="entity_spans", on_bad_record="fail"):
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    (raw / "spans.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    convert(
        raw,
        folder / "records.jsonl",
        folder / "quarantine.jsonl",
        folder / "description.json",
        entry={"layout": layout},
        on_bad_record=on_bad_record,
        split=SPLIT,
    )
    return read_records(folder / "records.jsonl", CLASSES)


TEXT = "The cat was happy."
GOOD = span(TEXT, "cat", label(joy=0.7, neutral=0.3))

BAD = {
    "outside the text": (GOOD | {"char_start": 15, "char_end": 40}, "lies outside the text of 18"),
    "start after end": (GOOD | {"char_start": 7, "char_end": 4}, "lies outside"),
    "text not matching": (GOOD | {"span_text": "dog"}, "span_text is not what stands at 4..7"),
    "white space only": (GOOD | {"char_start": 3, "char_end": 4}, "nothing but white space"),
    "27 values": (GOOD | {"soft_label": [0.5] * 27}, "28 numbers, found 27 values"),
    "29 values": (GOOD | {"soft_label": [0.5] * 29}, "28 numbers, found 29 values"),
    "negative": (GOOD | {"soft_label": label(joy=-0.1)}, "joy is -0.1, expected 0 to 1"),
    "NaN": (GOOD | {"soft_label": label(joy=float("nan"))}, "joy is nan"),
    "all zero": (GOOD | {"soft_label": label()}, "all values are 0"),
    "no number": (GOOD | {"soft_label": label(joy="high")}, "joy is no number"),
    "intensity": (GOOD | {"intensity": 0.1}, "intensity is 0.1, expected the largest value"),
    "sum": (
        GOOD | {"soft_label": label(joy=0.7, neutral=0.2), "intensity": 0.7},
        "the largest value of the label, 0.7 (v1, where it sums to 1; this one to 0.9)",
    ),
    "intensity NaN": (GOOD | {"intensity": float("nan")}, "expected a finite number"),
    "intensity without end": (GOOD | {"intensity": 10**400}, "expected a finite number"),
    "offset as text": (GOOD | {"char_start": "4"}, "expected integers"),
    "missing field": ({"span_text": "cat"}, "missing char_start and char_end"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_span_is_named_by_line(tmp_path, case):
    target, problem = BAD[case]
    lines = [*filler(), line(TEXT, target)]
    with pytest.raises(DataError, match="line 10") as caught:
        run(tmp_path, lines)
    assert problem in str(caught.value)
    assert not (tmp_path / "records.jsonl").exists()
    records = run(tmp_path, lines, on_bad_record="skip")
    assert len(records) == 9
    (bad,) = read_jsonl(tmp_path / "quarantine.jsonl")
    assert problem in bad["problem"]
    assert bad["place"] == "line 10"
    assert "happy" not in json.dumps(bad)


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ('{"text": "broken', "not valid JSON"),
        ('{"text": "no spans", "targets": []}', "at least one span"),
        ('{"text": " ", "targets": [{}]}', "the text is empty"),
        ("[1, 2]", "expected an object"),
        (line("half \ud83d", GOOD), "half a surrogate pair"),
        (line(TEXT, GOOD, GOOD), "the same span stands here twice"),
        (
            line(TEXT, GOOD, span(TEXT, "happy", label(joy=0.6, neutral=0.4), intensity=0.6)),
            "the targets mix labels of the generations v1 and v2",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path, bad, problem):
    with pytest.raises(DataError, match="line 10") as caught:
        run(tmp_path, [*filler(), bad])
    assert problem in str(caught.value)


def test_overlapping_spans_are_kept_and_counted(tmp_path):
    text = "Captain Leclere sailed."
    lines = [
        *filler(),
        line(
            text,
            span(text, "Captain Leclere", label(joy=0.4)),
            span(text, "Leclere", label(joy=0.4)),
        ),
    ]
    records = run(tmp_path, lines)
    assert (
        audit(published(records), layout="entity_spans", expected={})["spans"]["overlapping"] == 1
    )


def test_every_span_inside_a_longer_one_is_counted(tmp_path):
    text = "Captain Leclere of the Marseilles sailed."
    words = ("Captain Leclere of the Marseilles", "Captain", "Leclere", "Marseilles", "sailed")
    targets = [span(text, own, label(joy=0.4)) for own in words]
    records = run(tmp_path, [*filler(), line(text, *targets)])
    assert (
        audit(published(records), layout="entity_spans", expected={})["spans"]["overlapping"] == 3
    )


def test_offsets_count_code_points(tmp_path):
    text = "😀😀 Mia と 花子 は 嬉しい"
    records = run(tmp_path, [*filler(), line(text, span(text, "花子", label(joy=0.9)))])
    (target,) = next(r for r in records if r.text == text).targets
    assert text[target.start : target.end] == "花子"
    units = span(text, "花子", label(joy=0.9))
    units["char_start"] += 2
    units["char_end"] += 2
    with pytest.raises(DataError, match="count UTF-16 units"):
        run(tmp_path, [*filler(), line(text, units)])


@pytest.mark.parametrize(
    ("text", "words", "problem"),
    [("😀 Mia", "Mia", "lies outside the text of 5"), ("😀 I am", "I", "nothing but white space")],
)
def test_offsets_in_utf16_are_told_apart_wherever_they_lead(tmp_path, text, words, problem):
    units = span(text, words, label(joy=0.9))
    units["char_start"] += 1
    units["char_end"] += 1
    with pytest.raises(DataError, match=f"{problem}.*: the offsets count UTF-16 units"):
        run(tmp_path, [line(text, units)])


def test_both_generations_are_read_and_not_mixed(tmp_path):
    for generation in ("v1", "v2"):
        write_spans(tmp_path / generation, texts=60, generation=generation)
        lines = (tmp_path / generation / "spans.jsonl").read_text().splitlines()
        assert len(run(tmp_path, lines)) == 60
    both = [
        line
        for generation in ("v1", "v2")
        for line in (tmp_path / generation / "spans.jsonl").read_text().splitlines()
    ]
    with pytest.raises(DataError, match="keep the generations apart"):
        run(tmp_path, both, on_bad_record="skip")


def test_generations_are_told_by_sum_and_intensity():
    mixed = label(joy=0.6, neutral=0.4)
    assert generations_of(mixed, 0.6) == {"v1"}
    assert generations_of(mixed, math.sqrt(0.52)) == {"v2"}
    assert generations_of(label(joy=1.0), 1.0) == {"v1", "v2"}
    assert generations_of(mixed, 0.9) == frozenset()


def test_an_empty_or_foreign_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no records"):
        run(tmp_path, ["", ""])
    with pytest.raises(DataError, match="web page"):
        run(tmp_path, ["<!doctype html>"])
    with pytest.raises(DataError, match="no span corpus here"):
        convert(
            tmp_path / "nothing",
            tmp_path / "r",
            tmp_path / "q",
            tmp_path / "d",
            entry={"layout": "entity_spans"},
            on_bad_record="fail",
            split=SPLIT,
        )


def test_hidden_files_beside_a_corpus_are_passed_over(tmp_path):
    """As macOS leaves them on other file systems."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "._spans.jsonl").write_bytes(b"\0\5\x16\7\xb0")
    assert len(run(tmp_path, filler())) == len(filler())


def test_the_two_orders_agree_in_four_places_only():
    same = [i for i, (a, b) in enumerate(zip(CLASSES, GOEMOTIONS_CLASSES, strict=True)) if a == b]
    assert same == [0, 1, 26, 27]


def test_goemotions_is_mapped_by_name(tmp_path):
    raw = tmp_path / "raw"
    write_goemotions(raw, train=30, validation=10, test=10)
    anger, joy = GOEMOTIONS_CLASSES.index("anger"), GOEMOTIONS_CLASSES.index("joy")
    (raw / "train.tsv").write_text(f"I am cross and glad.\t{anger},{joy}\tx1\n")
    convert_goemotions(tmp_path)
    first = read_records(tmp_path / "records.jsonl", CLASSES)[0]
    (target,) = first.targets
    assert (target.start, target.end) == (None, None)
    shares = dict(zip(CLASSES, target.label, strict=True))
    assert {name: share for name, share in shares.items() if share} == {"anger": 0.5, "joy": 0.5}
    assert soft_label_of_ids([anger], GOEMOTIONS_CLASSES)[CLASSES.index("anger")] == 1.0


def convert_goemotions(folder, layout="goemotions"):
    convert(
        folder / "raw",
        folder / "records.jsonl",
        folder / "quarantine.jsonl",
        folder / "description.json",
        entry={"layout": layout},
        on_bad_record="fail",
        split=None,
    )


def test_a_list_of_names_decides_what_ids_mean(tmp_path):
    raw = tmp_path / "raw"
    write_goemotions(raw, train=30, validation=10, test=10)
    names = list(GOEMOTIONS_CLASSES)
    names[2], names[17] = names[17], names[2]
    (raw / "emotions.txt").write_text("\n".join(names))
    (raw / "train.tsv").write_text("I am glad.\t2\tx1\n")
    convert_goemotions(tmp_path)
    assert read_records(tmp_path / "records.jsonl", CLASSES)[0].targets[0].label[JOY] == 1.0
    (raw / "emotions.txt").write_text("\n".join([*names[:-1], "calm"]))
    with pytest.raises(DataError, match="calm"):
        convert_goemotions(tmp_path)


def test_a_heart_at_the_beginning_is_no_web_page(tmp_path):
    write_goemotions(tmp_path / "raw", train=30, validation=10, test=10)
    (tmp_path / "raw" / "train.tsv").write_text("<3 this\t18\tx1\n")
    convert_goemotions(tmp_path)
    assert read_records(tmp_path / "records.jsonl", CLASSES)[0].text == "<3 this"


@pytest.mark.parametrize(
    "bad",
    [
        "text only",
        "I am glad.\t28\tx",
        "I am glad.\t" + "9" * 5000 + "\tx",
        "I am glad.\tjoy\tx",
        " \t1\tx",
    ],
)
def test_a_bad_comment_is_named_by_line(tmp_path, bad):
    write_goemotions(tmp_path / "raw", train=30, validation=10, test=10)
    with (tmp_path / "raw" / "dev.tsv").open("a") as stream:
        stream.write(f"{bad}\n")
    with pytest.raises(DataError, match=r"dev\.tsv, line 11"):
        convert_goemotions(tmp_path)


def record(name, text, *labels):
    targets = tuple(
        Target(f"{name}.{place}", 0, 1, tuple(soft), 1.0) for place, soft in enumerate(labels)
    )
    return Record(name, text, "train", targets)


def test_the_split_keeps_texts_together_and_spreads_emotion():
    rng = random.Random(1)
    records = [
        record(
            str(n), f"text {n % 150}", label(joy=1.0) if rng.random() < 0.15 else label(neutral=1.0)
        )
        for n in range(200)
    ]
    dealt = split_records(records, changed(SPLIT, seed=3))
    home = {}
    for item in dealt:
        assert home.setdefault(normalise_text(item.text), item.split) == item.split
    assert [item.id for item in dealt] == [item.id for item in records]
    sizes = {split: len(of_split(dealt, split)) for split in ("train", "validation", "test")}
    assert abs(sizes["test"] - 40) <= 6
    assert abs(sizes["validation"] - 40) <= 6
    emotional = sum(item.targets[0].label[JOY] for item in dealt)
    found = sum(item.targets[0].label[JOY] for item in of_split(dealt, "test"))
    assert found == pytest.approx(0.2 * emotional, abs=3)
    assert split_records(records, changed(SPLIT, seed=4)) != dealt


def test_stages_are_nested_and_exact():
    records = [record(str(n), f"text {n}", *[label(joy=1.0)] * (1 + n % 3)) for n in range(60)]
    small, large = (
        {target.id for target in targets_of(stage_subset(records, count, seed=0))}
        for count in (25, 70)
    )
    assert (len(small), len(large)) == (25, 70)
    assert small < large
    assert stage_subset(records, None, seed=0) == records


def test_weak_spans_are_found_by_pattern_and_shrunk_to_neutral():
    text = "I gave [NAME] the old map, and then Mia Berg thanked my brother."
    sentence = label(gratitude=1.0)
    spans = weak_spans(text, sentence)
    assert [text[start:end] for start, end, _ in spans] == [
        "I",
        "[NAME]",
        "the old",
        "Mia Berg",
        "my brother",
    ]
    assert spans[0][2] == sentence
    other = spans[1][2]
    assert (other[CLASSES.index("gratitude")], other[NEUTRAL]) == (0.5, 0.5)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


def test_weak_spans_stand_at_the_beginning_of_a_sentence_too():
    sentence = label(joy=1.0)

    def found(text):
        return [text[start:end] for start, end, _ in weak_spans(text, sentence)]

    assert found("We laughed. The cat slept.") == ["We", "The cat"]
    assert found("My brother came, i.e. he did.") == ["My brother", "he"]
    assert found("A letter! Me too. This is it.") == ["A letter", "Me"]


def test_weak_spans_as_a_data_set(tmp_path):
    write_goemotions(tmp_path / "raw", train=60, validation=30, test=30)
    convert_goemotions(tmp_path, layout="goemotions_spans")
    write_audit(
        read_data(tmp_path / "records.jsonl", tmp_path / "description.json"),
        tmp_path / "quarantine.jsonl",
        tmp_path / "audit.json",
        layout="goemotions_spans",
        expected={},
    )
    found = read_json(tmp_path / "audit.json")
    assert found["weak_labels"]
    assert found["counts"]["train"]["targets"] > 60


def test_the_audit_counts_what_is_there(tmp_path):
    text = "Ada met Ada."
    late = span(text, "Ada", label(joy=0.6)) | {"char_start": 8, "char_end": 11}
    records = run(tmp_path, [*filler(), line(text, late), filler()[0]])
    found = audit(
        published(records), layout="entity_spans", expected={"counts": {"targets": 11, "texts": 99}}
    )
    assert found["spans"] == {"not_first_occurrence": 1, "overlapping": 0}
    assert found["duplicate_texts"] == 1
    assert not any(found["overlap"].values())
    assert [row["status"] for row in found["expected"]] == ["ok", "differs"]
    moved = [replace(item, split="train") for item in records]
    with pytest.raises(UserError, match="the split test has no texts"):
        audit(published(moved), layout="entity_spans", expected={})
    with pytest.raises(UserError, match="txets"):
        audit(published(records), layout="entity_spans", expected={"counts": {"txets": 1}})


def test_repeated_targets_with_other_labels_are_counted(tmp_path):
    again = filler()[:3]
    other = [
        line(f"ADA  saw {n}.", span(f"ADA  saw {n}.", "ADA", label(fear=0.5))) for n in range(2)
    ]
    records = run(tmp_path, [*filler(), *again, *other])
    found = audit(published(records), layout="entity_spans", expected={})
    assert (found["duplicate_texts"], found["conflicting_labels"]) == (5, 2)


def test_typos_keep_the_length_and_dropout_keeps_the_spans():
    text = "Yesterday Katya repaired the wonderful lantern before breakfast."
    rng = random.Random(0)
    typed = corrupt.with_typos(text, 1.0, rng)
    assert typed != text
    assert sorted(typed) == sorted(text)
    start = text.index("lantern")
    spans = [(text.index("Katya"), text.index("Katya") + 5), (start, start + 7)]
    shorter, moved = corrupt.without_words(text, spans, 1.0, rng)
    assert [shorter[left:right] for left, right in moved] == ["Katya", "lantern"]
    assert "repaired" not in shorter
    assert corrupt.without_words("one two", [], 1.0, rng)[0].strip() == "one"
