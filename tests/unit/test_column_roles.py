"""Keys of ``columns`` that no reader takes: each is a mistake with the key that was meant."""

from pathlib import Path

import pytest

from affectlab.config.load import load_config, merge
from affectlab.errors import ConfigError
from affectlab.experiments import validate_config

PROJECT = Path(__file__).parents[2]


def check(**entry):
    validate_config(
        merge(load_config(PROJECT), {"datasets": {"mine": {"path": ".", **entry}}}), PROJECT
    )


@pytest.mark.parametrize(
    ("layout", "role", "meant"),
    [
        ("table", "grop", "group"),
        ("table", "Group", "group"),
        ("spans", "grup", "group"),
        ("spans", "ends", "end"),
        ("cases", "grop", "group"),
        ("cases", "sumary", "summary"),
        ("image_folder", "subjekt", "subject"),
        ("audio_folder", "subjct", "subject"),
        ("audio_manifest", "speakersubject", "subject"),
    ],
)
def test_a_key_that_no_reader_takes_is_a_mistake_of_every_layout(layout, role, meant):
    expected = rf"datasets\.mine\.columns\.{role}: unknown key; did you mean '{meant}'\?; expected "
    with pytest.raises(ConfigError, match=expected):
        check(layout=layout, columns={role: "author"})


def test_all_keys_are_listed_where_none_is_near():
    with pytest.raises(ConfigError, match="unknown key; expected text, label, group, id"):
        check(layout="table", columns={"verfasser": "author"})


@pytest.mark.parametrize(
    ("layout", "role"),
    [("table", "text"), ("table", "group"), ("spans", "label"), ("image_folder", "label")],
)
def test_only_labels_may_be_in_several_columns(layout, role):
    with pytest.raises(ConfigError, match=f"{role}: expected the name of one column"):
        check(layout=layout, columns={role: ["a", "b"]})


@pytest.mark.parametrize(
    "entry",
    [
        {"layout": "table", "columns": {"label": ["a", "b"], "text": "t", "id": "nr"}},
        {"layout": "cases", "columns": {"causes": "c"}, "fields": ["causes"]},
        {"layout": "audio_manifest", "columns": {"duration": "d", "group": "speaker"}},
    ],
)
def test_known_keys_are_taken(entry):
    check(**entry)


@pytest.mark.parametrize(
    ("split", "key"),
    [
        ({"items": {"tests": "ids.txt"}}, "items.tests: unknown key; did you mean 'test'"),
        ({"files": {"training": "a.csv"}}, "files.training: unknown key; did you mean 'train'"),
        ({"column": "part", "names": {"x": "y"}}, "names.x: unknown key; known: test, train, "),
    ],
)
def test_a_misspelt_split_is_an_unknown_key(split, key):
    with pytest.raises(ConfigError, match=rf"datasets\.mine\.split\.{key}"):
        check(layout="table", split=split)
