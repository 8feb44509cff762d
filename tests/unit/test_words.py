"""Words are matched as words: in the support of names, and where a span is looked for."""

from __future__ import annotations

import unicodedata

import pytest

from affectlab.datasets.texts import places_of, words_of
from affectlab.entity.queries import Query, locate
from affectlab.summary.scores import names, unsupported_names

SOURCE = "She also planned an annual party, and it started."


@pytest.mark.parametrize("name", ["Al", "Ann", "Art", "Pla", "An Ann", "Also Plan"])
def test_a_part_of_a_word_supports_no_name(name):
    assert unsupported_names([f"It was {name} again."], SOURCE, "en") == (1, 1)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("She met anna berg.", "Anna Berg"),
        ("She met Anna\n Berg's brother.", "Anna Berg"),
        ("Anna came.", "Anna's"),
        ("Anna\u2019s brother came.", "Anna"),
        ("James' brother came.", "James"),
        ("James's brother came.", "James"),
        ("a London-based firm", "London"),
        ("the Smith\u2013Jones family", "Jones"),
        ("Anne Marie came", "Anne-Marie"),
        ("(Dr. Smith)", "Dr Smith"),
        ("O\u2019Brien came", "O'Brien"),
        ("Jos\u00e9 came", unicodedata.normalize("NFD", "Jos\u00e9")),
        (unicodedata.normalize("NFD", "\u00c9lodie came"), "\u00c9lodie"),
        ("the STRASSE", "Stra\u00dfe"),
        ("\u041e\u043d\u0430 \u0438 \u0410\u043d\u043d\u0430", "\u0410\u043d\u043d\u0430"),
        ("in the _Wien_ of old", "Wien"),
    ],
)
def test_a_name_is_supported_by_its_words(source, name):
    assert unsupported_names([f"It was {name} again."], source, "en") == (0, 1)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("Berg and Anna", "Anna Berg"),
        ("Annas Haus", "Anna"),
        ("\u0410\u043d\u043d\u0443\u0448\u043a\u0430", "\u0410\u043d\u043d\u0430"),
        ("Jose\u0301 came", "Jose"),
    ],
)
def test_other_words_support_no_name(source, name):
    assert unsupported_names([f"It was {name} again."], source, "en") == (1, 1)


def test_a_name_counts_once_whatever_its_form():
    found = unsupported_names(["So Boris and Boris's dog.", "To BORIS"], "nobody", "en")
    assert found == (1, 1)


def test_names_of_a_text():
    assert names("So I'm with \u00c9lodie and O'Brien in New York-City. It was I.", "en") == [
        "\u00c9lodie",
        "O'Brien",
        "New York-City",
    ]


def test_chinese_names_are_matched_by_their_characters():
    text = "\u5c0f\u660e\u53bb\u4e86\u5317\u4eac"
    count = unsupported_names([text], "", "zh")[1]
    assert count >= 1
    assert unsupported_names([text], f"\u6211{text}\u4e86", "zh") == (0, count)


def test_words_of_a_text():
    assert words_of("The client's Well-Being, 3.5 d\u2019Arc_x\u2019s") == [
        *("the", "client", "well", "being", "3", "5", "d'arc", "x"),
    ]


def test_places_of_words():
    assert places_of("she said he left, he did", "he") == [9, 18]
    assert places_of("she", "he") == [1]
    assert places_of("\u5979\u5f88\u96be\u8fc7", "\u5f88") == [1]
    assert places_of("a (he) b", "(he)") == [2]
    assert places_of("a b", "c") == []


def test_a_span_is_found_as_a_word(recwarn):
    assert locate(Query("she said he left", "he"), 1) == (9, 11)
    assert not recwarn.list
    with pytest.warns(UserWarning, match="more than once"):
        assert locate(Query("he and he", "he"), 1) == (0, 2)
