"""Spans of a user's own: forms of tables, places, labels, bad rows, groups, splits."""

import json
import math
import re

import pytest
import yaml
from own_spans import CLASSES, rows_of, write

from affectlab import cli
from affectlab.config.load import load_config, merge
from affectlab.entity.audit import audit
from affectlab.entity.convert import convert
from affectlab.entity.data import read_data
from affectlab.entity.own_spans import spans_of
from affectlab.errors import DataError, UserError
from affectlab.experiments import validate_config
from affectlab.files.io import read_jsonl

PROJECT = cli._project()
NAMES = ("calm", "joy", "rage")


def texts(number=30):
    """Rows with a list of spans each, their classes in turn."""
    words = ("Ada", "the old lamp", "Noor")
    return [
        {
            "text": f"In scene {n} I saw {words[n % 3]} near the {'river' * (1 + n % 4)} {n * n}.",
            "spans": [{"span": words[n % 3], "label": NAMES[n % 3]}],
        }
        for n in range(number)
    ]


def converted(folder, rows, *, on_bad_record="fail", similar_names="refuse", **entry):
    """What `convert` makes of JSON Lines, or of the text of another table."""
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    if isinstance(rows, str):
        (raw / "mine.csv").write_text(rows)
    else:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (raw / "mine.jsonl").write_text("\n".join(lines))
    convert(
        raw,
        folder / "records.jsonl",
        folder / "quarantine.jsonl",
        folder / "description.json",
        entry={"layout": "spans", **entry},
        on_bad_record=on_bad_record,
        split=None,
        similar_names=similar_names,
    )
    return read_data(folder / "records.jsonl", folder / "description.json")


def test_a_list_of_spans_with_names(tmp_path):
    data = converted(tmp_path, texts())
    assert data.classes == NAMES
    assert len(data.records) == 30
    first = data.records[0]
    (target,) = first.targets
    assert first.text[target.start : target.end] == "Ada"
    assert (target.label, target.intensity) == ((1.0, 0.0, 0.0), 1.0)
    assert {record.split for record in data.records} == {"train", "validation", "test"}
    assert data.description.group == "content"
    assert data.description.seed == 0


LABELS = {
    "a name": ("joy", {"joy": 1.0}),
    "a number": (3, {"3": 1.0}),
    "names": (["joy", "rage"], {"joy": 0.5, "rage": 0.5}),
    "votes": (["joy", "rage", "joy"], {"joy": 2 / 3, "rage": 1 / 3}),
    "values": ({"joy": 0.7, "rage": 0.4, "calm": None}, {"joy": 0.7, "rage": 0.4}),
    "values in a cell": ('{"joy": 0.7}', {"joy": 0.7}),
    "names in a cell": ('["joy", "rage"]', {"joy": 0.5, "rage": 0.5}),
}


@pytest.mark.parametrize("form", LABELS)
def test_forms_of_labels(form):
    raw, expected = LABELS[form]
    (span,) = spans_of("I saw Ada.", [{"span": "Ada", "label": raw}], None)
    assert span.label == expected
    assert span.place == (6, 9)


def test_the_intensity_is_the_norm_of_the_label(tmp_path):
    rows = texts()
    rows[0]["spans"][0]["label"] = {"joy": 0.6, "rage": 0.3}
    data = converted(tmp_path, rows, classes=["rage", "joy", "calm"])
    assert data.classes == ("rage", "joy", "calm")
    assert data.records[0].targets[0].label == (0.3, 0.6, 0.0)
    assert data.records[0].targets[0].intensity == pytest.approx(math.hypot(0.3, 0.6))


PLACES = {
    "offsets": ({"start": 4, "end": 7}, (4, 7)),
    "offsets of a table": ({"start": "4", "end": "7", "span": ""}, (4, 7)),
    "offsets with gaps": ({"start": 4.0, "end": 7.0, "span": None}, (4, 7)),
    "start and words": ({"start": 12, "span": "cat"}, (12, 15)),
    "words once": ({"span": "dog"}, (20, 23)),
}
TEXT = "The cat, my cat, no dog."


@pytest.mark.parametrize("form", PLACES)
def test_forms_of_places(form):
    raw, expected = PLACES[form]
    (span,) = spans_of(TEXT, [{**raw, "label": "joy"}], None)
    assert span.place == expected


BAD = {
    "words twice": ({"span": "cat"}, "the span occurs 2 times in the text: give start and end"),
    "words not there": ({"span": "bird"}, "the span is not in the text"),
    "other case": ({"span": "DOG"}, "the span is not in the text; it is there"),
    "no place": ({}, "expected start and end, or the words of the span"),
    "start alone": ({"start": 4}, "expected start and end, or the words of the span"),
    "outside": ({"start": 20, "end": 90}, "lies outside the text of 24 characters"),
    "other words": ({"start": 4, "end": 7, "span": "dog"}, "is not what stands at 4..7"),
    "no number": ({"start": "four", "end": 7}, "start: expected a whole number, found 'four'"),
    "unknown class": ({"span": "dog", "label": "jot"}, "unknown label 'jot', expected one of"),
    "empty label": ({"span": "dog", "label": ""}, "the label is empty"),
    "no label": ({"span": "dog", "label": None}, "expected the name of a class, found null"),
    "no names": ({"span": "dog", "label": []}, "found an empty list"),
    "large value": ({"span": "dog", "label": {"joy": 1.5}}, "is 1.5, expected 0 to 1"),
    "zeros": ({"span": "dog", "label": {"joy": 0}}, "expected a class with a value above 0"),
    "text as value": ({"span": "dog", "label": {"joy": "x"}}, "is a string, expected a number"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_span_is_named_by_line_and_set_aside(tmp_path, case):
    raw, problem = BAD[case]
    rows = [*texts(), {"text": TEXT, "spans": [{"label": "joy", **raw}]}]
    with pytest.raises(DataError, match=r"mine\.jsonl, line 31") as caught:
        converted(tmp_path, rows, classes=list(NAMES))
    assert problem in str(caught.value)
    assert not (tmp_path / "records.jsonl").exists()
    data = converted(tmp_path, rows, classes=list(NAMES), on_bad_record="skip")
    assert len(data.records) == 30
    (bad,) = read_jsonl(tmp_path / "quarantine.jsonl")
    assert (bad["file"], bad["place"]) == ("mine.jsonl", "line 31")
    assert problem in bad["problem"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ('{"text": "broken', "not valid JSON"),
        ({"text": "no spans", "spans": []}, "expected a list of at least one span"),
        ({"text": " ", "spans": [{"span": "a", "label": "joy"}]}, "the text is empty"),
        ({"text": 7, "spans": [{"span": "a", "label": "joy"}]}, "the text is the number 7"),
        ({"text": "only a text"}, "missing field spans"),
        (
            {"text": TEXT, "spans": [{"span": "dog", "label": "joy"}] * 2},
            "span 2: the same span occurs twice in this text",
        ),
    ],
)
def test_a_bad_row_is_named_by_line(tmp_path, row, problem):
    with pytest.raises(DataError, match="line 31") as caught:
        converted(tmp_path, [*texts(), row])
    assert problem in str(caught.value)


def test_one_span_a_row_of_a_table(tmp_path):
    rows = [
        f'"At {n} Ada met the fox, {"very " * (n % 5)}late {n * n}.",{span},{label},w{n // 3}'
        for n in range(30)
        for span, label in (("Ada", NAMES[n % 3]), ("the fox", NAMES[(n + 1) % 3]))
    ]
    data = converted(
        tmp_path,
        "\n".join(["sentence,who,mood,author", *rows]),
        columns={"text": "sentence", "span": "who", "label": "mood", "group": "author"},
    )
    assert len(data.records) == 30
    assert {len(record.targets) for record in data.records} == {2}
    assert data.description.group == "author"
    assert data.records[0].id == "00001"
    assert [target.id for target in data.records[1].targets] == ["00003.0", "00003.1"]
    homes = {}
    for record in data.records:
        homes.setdefault(record.group, set()).add(record.split)
    assert {len(own) for own in homes.values()} == {1}


def test_texts_that_read_the_same_stay_together(tmp_path):
    rows = texts(20) + [{**row, "text": row["text"].upper()} for row in texts(20)]
    for row in rows[20:]:
        row["spans"] = [{"start": 0, "end": 2, "label": "joy"}]
    data = converted(tmp_path, rows)
    splits = [record.split for record in data.records]
    assert splits[:20] == splits[20:]


def test_folds(tmp_path):
    data = converted(tmp_path, texts(), split={"folds": 3, "seed": 5})
    assert {record.fold for record in data.records} == {0, 1, 2}
    assert (data.description.folds, data.description.seed) == (3, 5)
    held_out = [one.id for fold in range(3) for one in data.for_fold(fold).of_split("test")]
    assert sorted(held_out) == sorted(record.id for record in data.records)
    for record in data.for_fold(2).of_split("validation"):
        assert record.fold == 0


def test_a_given_split_is_kept(tmp_path):
    rows = [{**row, "part": ("train", "dev", "held")[n % 3]} for n, row in enumerate(texts())]
    plan = {"column": "part", "names": {"test": "held"}}
    data = converted(tmp_path, rows, split=plan)
    assert [record.split for record in data.records[:3]] == ["train", "validation", "test"]
    assert data.description.seed is None


def test_spellings_of_a_class(tmp_path):
    rows = texts()
    rows[1]["spans"][0]["label"] = "Joy"
    with pytest.raises(DataError, match="'Joy' and 'joy' differ in spelling only"):
        converted(tmp_path, rows)
    assert converted(tmp_path, rows, similar_names="merge").classes == NAMES


def test_more_classes_than_the_embedding_has_room_for(tmp_path):
    rows = [
        {"text": f"Ada said {n}.", "spans": [{"span": "Ada", "label": f"c{n}"}]} for n in range(65)
    ]
    with pytest.raises(DataError, match="expected at most 64 classes, found 65"):
        converted(tmp_path, rows)


def test_a_repeated_id(tmp_path):
    rows = [{**row, "id": f"t{n % 29}"} for n, row in enumerate(texts())]
    with pytest.raises(DataError, match="the id 't0' belongs to 2 texts"):
        converted(tmp_path, rows)


# What the audit finds in such data


def traps_of(folder, rows, **entry):
    """Name of a trap -> its sentence."""
    data = converted(folder, rows, **entry)
    found = audit(data, layout="spans", expected={})
    return {trap["name"]: trap["sentence"] for trap in found["traps"]}


def in_parts(rows):
    """Two thirds for training, by blocks, so that authors do not decide the part."""
    parts = ("train", "train", "train", "train", "validation", "test")
    return [{**row, "part": parts[n // 5 % 6]} for n, row in enumerate(rows)]


BY_PART = {"split": {"column": "part"}}
BY_AUTHOR = {"columns": {"group": "author"}}


def test_sound_data_have_no_traps(tmp_path):
    assert traps_of(tmp_path, rows_of(150), **BY_AUTHOR) == {}


def test_a_text_in_two_splits(tmp_path):
    rows = in_parts(rows_of(60))
    rows.append({**rows[0], "text": rows[0]["text"].upper(), "part": "test"})
    rows[-1]["spans"] = [{"start": 0, "end": 3, "label": "joy"}]
    sentence = traps_of(tmp_path, rows, **BY_PART)["item_in_two_splits"]
    assert sentence.startswith("Some texts are in two splits (test and train: 1).")


def test_a_near_duplicate_in_two_splits(tmp_path):
    rows = in_parts(rows_of(60))
    rows.append({**rows[0], "text": rows[0]["text"].replace("day 0", "day 977"), "part": "test"})
    found = traps_of(tmp_path, rows, **BY_PART)
    assert "item_in_two_splits" not in found
    assert found["near_duplicates"].endswith(
        "is scored once on such a copy of what it learnt from."
    )


def test_a_near_duplicate_in_another_fold(tmp_path):
    rows = rows_of(60)
    rows += [{**rows[n], "text": rows[n]["text"].replace("day", "night")} for n in range(9)]
    sentence = traps_of(tmp_path, rows, split={"folds": 3})["near_duplicates"]
    assert sentence.startswith("9 groups of texts read nearly the same")
    assert re.search(r"A trained model is scored (once|\d+ times) on such a copy", sentence)


def test_an_author_in_two_spellings(tmp_path):
    rows = rows_of(60)
    rows[0]["author"] = "WRITER  0"
    sentence = traps_of(tmp_path, rows, **BY_AUTHOR)["name_in_two_spellings"]
    assert "1 name is spelled in more than one way" in sentence


def test_a_length_that_tells_the_class(tmp_path):
    rows = rows_of(150)
    for row in rows:
        row["spans"] = row["spans"][:1]
        if row["spans"][0]["label"] == "rage":
            row["text"] = f"{row['text']} {row['text'].lower().replace('bitter', 'sour')}"
    sentence = traps_of(tmp_path, rows)["condition_predicts_class"]
    start = "The class of a span can be predicted better than by chance from these properties of "
    assert sentence.startswith(f"{start}a text alone: characters, words")


def test_a_class_with_fewer_spans_than_folds(tmp_path):
    rows = rows_of(60)
    for row, name in zip(rows[:4], ("pride", "pride", "awe", "awe"), strict=True):
        row["spans"] = [{**row["spans"][0], "label": name}]
    found = traps_of(tmp_path, rows, split={"folds": 3})
    assert "The class pride is rare (number of spans: 2)" in found["class_smaller_than_folds"]


def test_a_label_that_is_constant_per_author(tmp_path):
    rows = rows_of(60)
    for row in rows:
        name = CLASSES[int(row["author"].split()[1]) % 5]
        row["spans"] = [{**span, "label": name} for span in row["spans"]]
    sentence = traps_of(tmp_path, rows, **BY_AUTHOR)["label_constant_per_group"]
    assert "11 of 11 groups by author" in sentence


def test_a_split_that_is_a_copy_is_refused(tmp_path):
    rows = in_parts(rows_of(60))
    held_out = [row for row in rows if row["part"] == "test"]
    rows += [{**row, "part": "train"} for row in held_out[:8]]
    with pytest.raises(UserError, match="8 of the 10 texts of test are in train as well"):
        traps_of(tmp_path, rows, **BY_PART)


# `affectlab init entity`


def printed(capsys, path):
    assert cli.main(["init", "entity", str(path)]) == 0
    return capsys.readouterr().out


def test_init_proposes_a_valid_configuration(tmp_path, capsys, monkeypatch):
    write(tmp_path / "scenes.jsonl", rows_of(150))
    monkeypatch.chdir(tmp_path)
    text = printed(capsys, "scenes.jsonl")
    assert len(text.splitlines()) <= 20
    overlay = yaml.safe_load(text)
    entry = overlay["datasets"]["scenes"]
    assert entry["columns"] == {"text": "text", "spans": "spans", "group": "author"}
    assert (entry["classes"], entry["language"]) == (list(CLASSES), "en")
    assert entry["split"] == {"folds": 5}
    assert list(overlay["entity"]["runs"]) == ["scenes_tiny", "scenes_minilm", "scenes_mpnet"]
    complete, _ = validate_config(merge(load_config(PROJECT), overlay), PROJECT)
    (stage,) = complete["entity"]["runs"]["scenes_tiny"]["stages"]
    assert stage["data"] == "scenes"
    assert stage["training"]["learning_rate"] == 2e-3
    assert complete["entity"]["runs"]["scenes_tiny"]["model"] == "roberta-tiny"


def test_init_takes_one_span_a_row(tmp_path, capsys):
    lines = ["sentence,entity,emo,set"]
    for number, row in enumerate(rows_of(120)):
        for span, label in zip(row["spans"], ("joy", "rage"), strict=True):
            part = ("train", "train", "dev", "test")[number % 4]
            lines.append(f'"{row["text"]}",{span["span"]},{label},{part}')
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    entry = yaml.safe_load(printed(capsys, tmp_path / "mine.csv"))["datasets"]["mine"]
    assert entry["columns"] == {"text": "sentence", "span": "entity", "label": "emo"}
    assert entry["split"] == {"column": "set"}


def test_init_tells_of_rows_that_cannot_be_used(tmp_path, capsys):
    rows = rows_of(60)
    rows[3]["spans"][0]["span"] = "nowhere"
    write(tmp_path / "mine.jsonl", rows)
    text = printed(capsys, tmp_path / "mine.jsonl")
    assert "1 rows cannot be used; the first: mine.jsonl, line 4: span 1: the span is not" in text


def test_init_refuses_a_table_without_spans(tmp_path, capsys):
    (tmp_path / "mine.csv").write_text("text,label\n" + "I am glad today,joy\n" * 9)
    assert cli.main(["init", "entity", str(tmp_path / "mine.csv")]) == 2
    assert "no column holds spans or their places; it has text, label" in capsys.readouterr().err
