"""Spans that differ from their text in Unicode form, quotation marks and the like only."""

import unicodedata

import pytest

from affectlab.datasets.texts import form_of
from affectlab.entity.queries import Query, locate
from affectlab.entity.span_corpus import offset_problem
from affectlab.errors import UserError

CAFE = unicodedata.normalize("NFC", "Ana loved the cafe\u0301 by Zoe\u0308's door.")
DECOMPOSED = unicodedata.normalize("NFD", CAFE)

FORMS = [
    (CAFE, unicodedata.normalize("NFD", "caf\u00e9"), "another Unicode form"),
    (DECOMPOSED, "caf\u00e9", "another Unicode form"),
    ("It\u2019s Ann\u2019s.", "Ann's", "other quotation marks"),
    ("It's Ann's.", "Ann\u2019s", "other quotation marks"),
    ('The "big" one.', "\u201cbig\u201d", "other quotation marks"),
    ("The \u201cbig\u201d one.", '"big"', "other quotation marks"),
    ("A well\u2011known man.", "well-known", "other dashes"),
    ("New\u00a0York is far.", "New York", "other white space"),
    ("She met ada there.", "Ada", "other capital letters"),
]


@pytest.mark.parametrize(("text", "span", "form"), FORMS)
def test_a_span_in_another_form_is_told_from_one_that_is_absent(text, span, form):
    with pytest.raises(UserError, match=f"is not in the text; it is there (in|with) {form}"):
        locate(Query(text, span), 1)
    with pytest.raises(UserError, match=f"does not stand at 3; it is there (in|with) {form}"):
        locate(Query(text, span, 3), 1)
    problem = offset_problem(text, 0, len(span), span)
    assert form in problem
    assert "count the offsets again" in problem
    # What people wrote is nowhere repeated.
    assert span not in problem


def test_offsets_of_the_other_form_are_named():
    at = CAFE.index("Zo")
    assert CAFE[at : at + 3] == "Zo\u00eb"
    found = offset_problem(DECOMPOSED, at, at + 3, "Zo\u00eb")
    assert found.endswith("the offsets count the characters of the text in the form NFC")
    span = unicodedata.normalize("NFD", "Zo\u00eb")
    at = DECOMPOSED.index(span)
    found = offset_problem(CAFE, at, at + 4, span)
    assert found.endswith("the offsets count the characters of the text in the form NFD")


def test_several_differences_are_all_named():
    form = form_of("ZOE\u0308\u2019s", "It is zo\u00eb's.")
    assert form.count(" and ") == 2
    assert "Unicode form" in form
    assert "quotation marks" in form
    assert "capital letters" in form
    assert "dashes" not in form


def test_what_is_absent_is_in_no_form():
    assert form_of("dog", CAFE) is None
    assert form_of("caf\u00e9", CAFE) is None
    assert offset_problem(CAFE, 0, 3, "dog") == "span_text is not what stands at 0..3"
