"""`affectlab init`: what it makes of a table, and `affectlab export-data`."""

import csv
import json

import pytest
import yaml

from affectlab import cli
from affectlab.config.load import load_config, merge
from affectlab.datasets.export import may_be_exported
from affectlab.datasets.look import look_at
from affectlab.datasets.overlay import data_name
from affectlab.experiments import validate_config

PROJECT = cli._project()
GERMAN = (
    "heute war ich wirklich sehr froh über das schöne Wetter im Garten",
    "gestern habe ich lange geweint, weil meine Katze verschwunden ist",
    "warum muss der Zug denn schon wieder eine halbe Stunde zu spät sein",
    "ich fürchte mich ein wenig vor der Prüfung am nächsten Montag",
)
CLASSES = ("Freude", "Trauer", "Wut", "Angst")


def write_table(path, rows, columns):
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)


def rows(count=306):
    for number in range(count):
        kind = number % 4
        yield [f"t{number}", f"{GERMAN[kind]} {number}", CLASSES[kind], f"Autor {number % 41}"]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "Meine Tweets.csv"
    write_table(path, rows(), ["nr", "tweet", "emo", "author"])
    return path


def printed(capsys, *arguments):
    assert cli.main(["init", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_a_table_of_texts_gives_a_configuration_that_is_valid_as_it_is(table, capsys, monkeypatch):
    monkeypatch.chdir(table.parent)
    text = printed(capsys, "emotion", table.name)
    assert sum(not line.lstrip().startswith("#") for line in text.splitlines()) <= 20
    overlay = yaml.safe_load(text)
    entry = overlay["datasets"]["meine_tweets"]
    assert entry["columns"] == {"text": "tweet", "label": "emo", "group": "author", "id": "nr"}
    assert entry["classes"] == sorted(CLASSES)
    assert (entry["language"], entry["split"]) == ("de", {"folds": 5})
    assert overlay["emotion"]["selected"] == ["meine_tweets_tfidf", "meine_tweets_e5"]
    complete, registries = validate_config(merge(load_config(PROJECT), overlay), PROJECT)
    assert complete["emotion"]["runs"]["meine_tweets_e5"]["model"] == "multilingual-e5-small"
    assert registries.datasets["meine_tweets"]["licence"] == "not stated"


def test_english_texts_get_an_english_encoder(tmp_path, capsys):
    path = tmp_path / "mine.tsv"
    lines = [f"i feel so happy about the garden today, number {n}\tjoy" for n in range(300)]
    lines += [f"i was really afraid of the dark street last night, {n}\tfear" for n in range(300)]
    path.write_text("text\tlabel\n" + "\n".join(lines) + "\n", encoding="utf-8")
    overlay = yaml.safe_load(printed(capsys, "emotion", path))
    assert overlay["datasets"]["mine"]["language"] == "en"
    assert overlay["datasets"]["mine"]["split"] == {"test": 0.2, "validation": 0.1, "seed": 0}
    assert overlay["emotion"]["runs"]["mine_minilm"]["like"] == "minilm"


def test_a_column_of_splits_is_found(tmp_path, capsys):
    path = tmp_path / "mine.csv"
    write_table(
        path,
        [
            [text, label, ("train", "dev", "test")[number % 3]]
            for number, (_, text, label, _) in enumerate(rows(60))
        ],
        ["text", "label", "split"],
    )
    overlay = yaml.safe_load(printed(capsys, "emotion", path))
    assert overlay["datasets"]["mine"]["split"] == {"column": "split"}


def test_annotators_and_numbers_are_told_apart_from_classes(tmp_path):
    path = tmp_path / "mine.csv"
    write_table(
        path,
        [
            [text, label, CLASSES[(n + n // 9) % 4], n / 60, -n / 60, 7]
            for n, (_, text, label, _) in enumerate(rows(60))
        ],
        ["text", "rater_a", "rater_b", "valence", "arousal", "constant"],
    )
    look = look_at(path)
    assert look.text == "text"
    assert look.annotators(["text"]) == ["rater_a", "rater_b"]
    assert look.numbers() == ["valence", "arousal"]


@pytest.mark.parametrize(
    ("columns", "values", "problem"),
    [
        (["a", "b"], [["x", "y"]] * 5, "no column holds texts"),
        (["text", "b"], [[f"some words in a row {n}", str(n)] for n in range(90)], "no column"),
    ],
)
def test_a_table_without_texts_or_classes_is_refused(tmp_path, capsys, columns, values, problem):
    path = tmp_path / "mine.csv"
    write_table(path, values, columns)
    assert cli.main(["init", "emotion", str(path)]) == 2
    assert problem in capsys.readouterr().err


def test_names_of_data_are_made_of_file_names(tmp_path):
    for file, name in (("Meine Tweets.csv", "meine_tweets"), ("2024.csv", "data_2024")):
        (tmp_path / file).touch()
        assert data_name(tmp_path / file) == name


@pytest.mark.parametrize(
    ("licence", "access", "kinds", "free"),
    [
        ("CC BY 4.0", "open", [], True),
        ("CC BY-NC-SA 4.0", "open", [], False),
        ("not stated", "open", [], False),
        ("CC BY 4.0", "gated", [], False),
        ("MIT", "open", ["sample"], True),
        ("not stated", "open", ["sample"], True),
    ],
)
def test_terms_decide_what_may_be_handed_on(licence, access, kinds, free):
    entry = {"licence": licence, "access": access, "sources": [{"kind": kind} for kind in kinds]}
    assert may_be_exported(entry) is free


def test_records_are_exported_only_if_the_terms_or_the_user_allow_it(tmp_path, capsys):
    from datasets import load_from_disk

    results = tmp_path / "results"
    data = results / "emotion" / "data" / "mine"
    data.mkdir(parents=True)
    (results / "config.yaml").write_text(
        yaml.safe_dump({"datasets": {"mine": {"path": "x.csv", "layout": "table"}}})
    )
    records = [
        {"id": str(n), "text": f"text {n}", "label": "a", "split": ("train", "test")[n % 2]}
        for n in range(10)
    ]
    (data / "records.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in records))
    command = ["export-data", "emotion/mine", "--to", str(tmp_path / "out")]
    command += ["--results", str(results)]
    assert cli.main(command) == 2
    assert "If you may copy these data, add --allowed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert cli.main([*command, "--allowed"]) == 0
    found = load_from_disk(str(tmp_path / "out"))
    assert sorted([*found["train"]["id"], *found["test"]["id"]]) == [str(n) for n in range(10)]
    assert cli.main([*command, "--allowed"]) == 2
