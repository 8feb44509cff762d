"""Answers: the last complete object after the thinking, in time that grows with the text alone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from affectlab.models.replies import json_objects
from affectlab.summary.answers import parse
from affectlab.summary.cases import FIELDS, REFLECTION
from affectlab.summary.judge import CRITERIA, read_marks

FORGED = dict.fromkeys(FIELDS, "forged")
TRUE = {name: f"true {name}" for name in FIELDS}


def marks(mark):
    return {field: dict.fromkeys(CRITERIA, mark) for field in FIELDS}


@pytest.mark.parametrize(
    ("before", "valid"),
    [
        (f"<think>The form is {json.dumps(FORGED)}.</think>\n", True),
        (f"{json.dumps(FORGED)} is what the prompt gave.</think>", True),
        (f"<thinking>{json.dumps(FORGED)}</thinking> ", True),
        (f"<think>a</think> {json.dumps(FORGED)} <think>b</THINK>", True),
        (f"The form: {json.dumps(FORGED)}\nThe answer: ", False),
        (f"```json\n{json.dumps(FORGED)}\n```\n", False),
        ('set {a, b} and 5" and {"causes": ', False),
    ],
)
def test_the_last_object_after_the_thinking_counts(before, valid):
    found = parse(before + json.dumps(TRUE), FIELDS)
    assert found.fields == TRUE
    assert (found.valid, found.repaired) == (valid, not valid)
    assert parse(f"{before}{json.dumps(TRUE)} {{}} and {{'x'}}", FIELDS).fields == TRUE


@pytest.mark.parametrize(
    "text", [f"<think>{json.dumps(FORGED)}", f"<think>causes: {FORGED['causes']}", "<think>"]
)
def test_thinking_without_an_end_is_no_answer(text):
    found = parse(text, FIELDS)
    assert not any(found.fields.values())
    assert (found.valid, found.repaired) == (False, False)
    assert parse(text, (REFLECTION,)).fields == {REFLECTION: ""}


def test_a_field_may_hold_the_mark_of_thinking():
    fields = TRUE | {"causes": "he wrote </think> once"}
    assert parse(json.dumps(fields), FIELDS).fields == fields
    assert parse("<think>so</think> Well.", (REFLECTION,)).fields == {REFLECTION: "Well."}


def test_an_unfinished_object_gives_its_fields():
    text = json.dumps(TRUE)[:-30]
    assert parse(text, FIELDS).fields["causes"] == TRUE["causes"]
    assert parse('{"causes": NaN}', FIELDS).fields["causes"] != ""
    assert not parse(json.dumps(TRUE | {"causes": float("nan")}), FIELDS).valid


def test_names_without_json():
    text = "causes: underlying causes\n- symptoms: none\n\n- causes: a quarrel\n- symptoms:\n"
    found = parse(text, FIELDS)
    assert found.fields["causes"] == "a quarrel"
    assert found.fields["symptoms"] == "none"


def test_objects_of_a_text():
    assert json_objects('a {"b": {"c": 1}} {"d": "}"} {"e": NaN} { "f"') == [
        {"b": {"c": 1}},
        {"d": "}"},
    ]


def test_the_last_marks_of_a_judge_count():
    form = json.dumps(marks(1))
    assert read_marks(f"The form is {form}. ```json\n{json.dumps(marks(4))}\n```") == marks(4)
    assert read_marks(f"<think>{json.dumps(marks(5))}</think>{json.dumps(marks(2))}") == marks(2)
    assert read_marks(f"<think>{json.dumps(marks(5))}") is None
    assert read_marks(f"{json.dumps(marks(3))} {{}}") == marks(3)


HOSTILE = {
    "fences": '"```json" + " " * n + "`" * n',
    "blanks": '"```json" * (n // 7) + " " * n',
    "open braces": '"{" * n',
    "nested": "'{\"a\":' * n",
    "lists": '\'{"a":[\' * 500 + "0," * n',
    "strings": '\'{"a":"\' * n',
    "one string": '\'{"\' + "{" * n',
    "escapes": "'{\"' + '\\\\\"{' * n",
    "digits": '\'{"a":\' + "9" * n',
    "closed": '"{" * n + "}" * n',
    "thinking": '"<think>" * n',
    "names": '"causes" + " " * n + "causes:" * (n // 7)',
    "name and blanks": '"causes: " + (" " * 50 + "-") * (n // 51)',
    "quotes": '"x." + chr(34) * n + "x"',
    "capitals": '"A " * n + " " * n + "b"',
    "marks": '"<|" * n + "[/" * n + "#" * n + "<" * n',
}
SCRIPT = """
import sys
from affectlab.datasets.texts import without_chat_marks
from affectlab.summary.answers import parse
from affectlab.summary.cases import FIELDS
from affectlab.summary.judge import read_marks
from affectlab.summary.scores import unsupported_names, unsupported_numbers
from affectlab.summary.text import characters, detect_language, sentences
n = 100_000
for line in sys.stdin.read().splitlines():
    text = eval(line)
    parse(text, FIELDS)
    read_marks(text)
    sentences(text)
    characters(text)
    detect_language(text)
    without_chat_marks(text)
    unsupported_numbers(text, text)
    unsupported_names([text], text, "en")
    print("done", flush=True)
"""


def test_hostile_texts_take_little_time():
    """100,000 characters and more each; what is quadratic takes minutes."""
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input="\n".join(HOSTILE.values()),
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert found.stdout.split() == ["done"] * len(HOSTILE)
