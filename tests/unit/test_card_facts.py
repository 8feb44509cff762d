"""What cards state about data: only what the registry holds, and only of its own data."""

from pathlib import Path

import pytest
import yaml
from test_cards import DATASET, MODEL, RECIPE, make_record

from affectlab.config.registries import stated
from affectlab.emotion.card import card
from affectlab.report import model_cards

PROJECT = Path(__file__).parents[2]
SCRIPTS = PROJECT / "workflow" / "scripts" / "affectlab"
REGISTRY = yaml.safe_load((PROJECT / "config" / "datasets.yaml").read_text())
OWN = {"title": "T", "version": "1", "licence": "L", "terms": "X", "citation": "C", "sources": []}


@pytest.mark.parametrize("name", ["emotion", "fer2013", "longemotion", "entity", "eatd"])
def test_facts_are_printed_of_the_data_of_the_registry_alone(name):
    entry = REGISTRY[name]
    people = entry["facts"]["people"].strip().rstrip(".")
    known = model_cards.describe_data(name, entry, [])
    assert people in known
    assert "Not known" not in known
    differing = model_cards.describe_data(name, entry, ["records of train"])
    assert people not in differing
    assert f"differ from the registry entry `{name}`" in differing
    assert "who is in the data and whether these people agreed" in differing
    assert ("the language" in differing) is (name != "fer2013")


def test_nothing_is_stated_of_data_that_the_registry_has_no_facts_of():
    text = model_cards.describe_data("mine", OWN, [])
    assert text.count("\n") == 0
    assert text.startswith("- Not known: the language; how the items were chosen; who is in")


def test_facts_of_data_that_cannot_be_compared_are_conditional():
    words = "hold only if the data are that data set"
    assert words in model_cards.describe_data("psyqa", REGISTRY["psyqa"], [])
    assert words not in model_cards.describe_data("emotion", REGISTRY["emotion"], [])
    assert words not in model_cards.describe_data("psyqa_sample", REGISTRY["psyqa_sample"], [])


def test_a_user_s_own_data_are_not_compared_with_a_registry():
    entry = stated("mine", {"path": "mine.csv", "layout": "table", "language": "de"})
    text = model_cards.describe_data("mine", entry, [])
    assert "registry" not in text
    assert "- Language: de." in text
    assert "- Not known: how the items were chosen; who is in the data" in text


def test_the_card_of_a_user_s_own_data_states_only_what_is_known():
    entry = stated("mine", {"path": "mine.csv", "layout": "table", "language": "de"})
    record = make_record()
    record["data"] |= {"name": "mine", "split": "cross-validation", "classes": ["a", "b"]}
    record["confusion_matrix"] = [[3, 1], [0, 4]]
    record["per_class"] = dict(zip("ab", record["per_class"].values(), strict=False))
    text = card(record, [], RECIPE, entry | {"split": {"folds": 5}}, MODEL, traps=["A trap."])
    assert "mine, cross-validated in 5 folds" in text
    assert "which of 2 classes a text was labelled with: a, b" in text
    assert "version not stated" in text
    assert "Citation: not stated." in text
    assert "- A trap." in text
    assert yaml.safe_load(text.split("---")[1])["language"] == ["de"]
    for words in ("registry", "English", "test split", "test texts", "neutral"):
        assert words not in text, words


def test_generated_data_are_of_no_person():
    text = model_cards.describe_data("eatd_sample", REGISTRY["eatd_sample"], [])
    assert "A seeded program made the data" in text
    assert "Not known" not in text
    assert "seeded program" not in model_cards.describe_data("eatd", REGISTRY["eatd"], [])


def test_no_template_states_what_only_the_registry_can_know():
    for path in SCRIPTS.glob("*/model_card.md.j2"):
        text = path.read_text()
        for words in (
            "English",
            "tweets",
            "Reddit",
            "did not agree to",
            "real counselling",
            "made by a program",
            "hashtag",
            "web search",
            "questionnaire",
            "Acted",
        ):
            assert words not in text, (path, words)


def test_german_texts_under_a_known_name_are_not_called_english():
    german = card(make_record(), ["records of train"], RECIPE, DATASET, MODEL)
    front = yaml.safe_load(german.split("---")[1])
    assert "language" not in front
    body = german.split("---", 2)[2]
    assert "English" not in body
    assert DATASET["title"] not in body
    same = card(make_record(), [], RECIPE, DATASET, MODEL)
    assert yaml.safe_load(same.split("---")[1])["language"] == ["en"]


@pytest.mark.parametrize(("sizes", "unbalanced"), [((10, 19), False), ((10, 20), True)])
def test_classes_are_called_unbalanced_only_if_they_are(sizes, unbalanced):
    record = make_record()
    for place, entry in enumerate(record["per_class"].values()):
        entry["support"] = sizes[place % 2]
    text = card(record, [], RECIPE, DATASET, MODEL)
    assert ("Classes are unbalanced" in text) is unbalanced
