"""Classes from an endpoint: replies as they come, limits, caching, and no text or key in a log."""

import json
import logging

import pytest
from blocks import changed
from local_server import body, in_turn, nobody_listens, serve, status

from affectlab.config.prompts import Prompt, PromptEndpoint
from affectlab.errors import UserError
from affectlab.models.answer_cache import AnswerCache
from affectlab.models.class_answers import ClassAsker, read_class
from affectlab.models.class_prompting import Question, classified, prediction_row

PATH = "/v1/chat/completions"
CLASSES = ("joy", "anger", "schöne Überraschung", "C++", "C", "愤怒")
TEXTS = ["so glad today", "go away", "what a day", "hm", "no", "yes", "well"]


def chat(text):
    content = {"choices": [{"message": {"content": text}}], "usage": {"total_tokens": 9}}
    return body(json.dumps(content).encode())


def settings(url, **changes):
    block = PromptEndpoint(
        base_url=f"{url}/v1", model="m", timeout_seconds=5, attempts=2, wait_seconds=0
    )
    return changed(block, **changes)


@pytest.fixture
def server():
    with serve() as running:
        yield running


def asked(url, folder, texts=TEXTS, **changes):
    return classified(
        [Question(text) for text in texts],
        CLASSES,
        Prompt(endpoint=settings(url, **changes)),
        language="en",
        model_directory=None,
        model_name="unused",
        work_directory=folder,
        threads=1,
        path="emotion.runs.it.prompt",
    )


def names(result):
    return [one.name for one in result[0]]


@pytest.mark.parametrize(
    ("reply", "name"),
    [
        ("joy", "joy"),
        ("  Joy.\n", "joy"),
        ('"JOY"', "joy"),
        ("**joy**", "joy"),
        ("<think>anger?</think>\n\njoy", "joy"),
        ("<think>joy", None),
        ('{"class": "anger"}', "anger"),
        ('```json\n{"class": "Anger"}\n```', "anger"),
        ('{"class": "joy"} no: {"class": "anger"}', "anger"),
        ('{"class": ["joy"]}', None),
        ('{"label": "joy"}', None),
        ("scho\u0308ne U\u0308berraschung", "schöne Überraschung"),
        ("愤怒。", "愤怒"),
        ("C++", "C++"),
        ("C", "C"),
        ("c", None),
        ("joy or anger", None),
        ("The class is joy", None),
        ("joyful", None),
        ("", None),
        ("...", None),
        ("I cannot judge the emotions of people.", None),
        ("\ud800", None),
    ],
)
def test_what_counts_as_a_class(reply, name):
    assert read_class(reply, CLASSES) == name


def test_the_question_and_the_record(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "s3cret")
    server.replies[PATH] = in_turn(chat("joy"), chat("perhaps joy"), chat("anger"))
    found, record = asked(server.url, tmp_path, TEXTS[:3], api_key_variable="MY_KEY")
    assert [one.name for one in found] == ["joy", None, "anger"]
    assert {one.probabilities for one in found} == {None}
    sent = json.loads(server.posted[0])
    assert (sent["model"], sent["temperature"]) == ("m", 0)
    assert "response_format" not in sent
    (message,) = sent["messages"]
    assert message["role"] == "user"
    assert "- joy\n- anger\n" in message["content"]
    assert message["content"].endswith("so glad today")
    assert server.requests[0][2]["Authorization"] == "Bearer s3cret"
    assert record == {
        "prompt": {"version": "v1", "language": "en", "sha256": record["prompt"]["sha256"]},
        "model": "m",
        "decoding": "free",
        "asked": 3,
        "invalid": 1,
        "refused": 0,
        "cut": 0,
    }


def test_a_schema_is_sent_where_the_server_takes_one(server, tmp_path):
    server.replies[PATH] = chat('{"class": "anger"}')
    _, record = asked(server.url, tmp_path, TEXTS[:1], json_schema=True)
    assert record["decoding"] == "json_schema"
    form = json.loads(server.posted[0])["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"]["properties"]["class"]["enum"] == list(CLASSES)


def test_every_question_is_sent_once_and_no_text_is_kept(server, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("MY_KEY", "s3cret")
    server.replies[PATH] = chat("Sorry: so glad today is no class")
    with caplog.at_level(logging.DEBUG, logger="affectlab"):
        first = asked(server.url, tmp_path, api_key_variable="MY_KEY")
        again = asked(server.url, tmp_path, api_key_variable="MY_KEY")
    assert first == again
    assert first[1]["invalid"] == len(TEXTS) == len(server.posted)
    kept = (tmp_path / "answers.jsonl").read_text()
    for secret in ("glad", "s3cret"):
        assert secret not in kept
        assert secret not in caplog.text
    # A text that is no longer there leaves nothing behind.
    asked(server.url, tmp_path, TEXTS[:2])
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 2
    assert len(server.posted) == len(TEXTS)
    asked(server.url, tmp_path, TEXTS[:2], model="other")
    assert len(server.posted) == len(TEXTS) + 2


def test_a_run_that_was_killed_asks_the_rest_alone(server, tmp_path):
    server.replies[PATH] = chat("joy")
    wanted = asked(server.url, tmp_path)
    path = tmp_path / "answers.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:30])
    server.posted.clear()
    assert asked(server.url, tmp_path) == wanted
    assert len(server.posted) == len(TEXTS) - 3
    assert path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize(
    "trouble",
    [
        status(429),
        status(503),
        body(b"<html>busy</html>"),
        body(b'{"choices": []}'),
        body(b"\xff\xfe"),
    ],
    ids=["rate limit", "busy", "html", "no choice", "no text"],
)
def test_trouble_that_passes(server, tmp_path, trouble):
    server.replies[PATH] = in_turn(trouble, chat("joy"))
    assert names(asked(server.url, tmp_path, TEXTS[:1])) == ["joy"]
    assert len(server.posted) == 2


@pytest.mark.parametrize(
    ("reply", "problem", "sent"),
    [
        (status(401), "answered with status 401", 3),
        (status(500), "answered with status 500", 6),
        (body(b"[" * 100_000), "not of the chat protocol", 6),
        (status(400), "answered with status 400", 5),
    ],
    ids=["key", "error", "malformed", "refused from the first"],
)
def test_an_endpoint_that_answers_nothing_stops_the_run(server, tmp_path, reply, problem, sent):
    server.replies[PATH] = reply
    with pytest.raises(UserError, match=problem) as error:
        asked(server.url, tmp_path)
    assert "0 of 7 answers are kept" in str(error.value)
    assert "glad" not in str(error.value)
    assert len(server.posted) == sent
    server.replies[PATH] = chat("joy")
    assert names(asked(server.url, tmp_path)) == ["joy"] * 7


def test_answers_before_a_failure_are_kept(server, tmp_path):
    server.replies[PATH] = in_turn(chat("joy"), chat("anger"), status(500))
    with pytest.raises(UserError, match="2 of 7 answers are kept"):
        asked(server.url, tmp_path)
    server.posted.clear()
    server.replies[PATH] = chat("C")
    assert names(asked(server.url, tmp_path)) == ["joy", "anger", *["C"] * 5]
    assert len(server.posted) == 5


def test_refusals_of_single_texts_are_invalid_answers(server, tmp_path):
    replies = [status(400), chat("joy"), status(422), *[chat("joy")] * 4]
    server.replies[PATH] = in_turn(*replies)
    found = asked(server.url, tmp_path)
    assert names(found) == [None, "joy", None, *["joy"] * 4]
    assert (found[1]["invalid"], found[1]["refused"]) == (2, 2)
    assert asked(server.url, tmp_path) == found
    assert len(server.posted) == 7


def test_nobody_listens(tmp_path):
    with nobody_listens() as url, pytest.raises(UserError, match="cannot be reached"):
        asked(url.replace("http://", "http://ann:s3cret@"), tmp_path)


def test_a_missing_key_is_reported(server, tmp_path, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(UserError, match=r"emotion.runs.it.prompt.endpoint.api_key_variable: "):
        asked(server.url, tmp_path, api_key_variable="MY_KEY")
    assert not server.posted


def test_long_texts_are_cut_and_marks_of_chats_are_text(server, tmp_path):
    server.replies[PATH] = chat("joy")
    long = "begin " + "x" * 500 + " end <|im_end|>"
    found, record = asked(server.url, tmp_path, [long, "short"], max_characters=100)
    assert [one.cut for one in found] == [True, False]
    assert record["cut"] == 1
    content = json.loads(server.posted[0])["messages"][0]["content"]
    assert "\nbegin xxx" in content
    assert content.endswith("xxx end < |im_end|>")
    assert " [...] " in content


def test_equal_texts_are_asked_about_once(server, tmp_path):
    server.replies[PATH] = in_turn(chat("joy"), chat("anger"))
    assert names(asked(server.url, tmp_path, ["same", "same"])) == ["joy", "joy"]


def test_an_answer_that_is_no_class_is_entered_as_a_wrong_one():
    from affectlab.models.class_prompting import Found

    nothing = Found(None, None, False)
    ranking = ["anger", "joy"]
    assert prediction_row(nothing, ("joy", "anger"), ["joy"], ranking) == {
        "prediction": "anger", "cut": False, "invalid": True
    }  # fmt: skip
    assert prediction_row(nothing, ("joy", "anger"), ["anger"], ranking)["prediction"] == "joy"
    row = prediction_row(Found("joy", [0.75, 0.25], True), ("joy", "anger"), ["anger"], ranking)
    assert row == {"prediction": "joy", "probabilities": {"joy": 0.75, "anger": 0.25}, "cut": True}


def test_spans_are_named_in_the_prompt(server, tmp_path):
    server.replies[PATH] = chat("joy")
    long = "a" * 200 + "b" * 200
    classified(
        [Question("the cat sat", "cat"), Question(long, long)],
        CLASSES,
        Prompt(endpoint=settings(server.url)),
        language="en",
        model_directory=None,
        model_name="unused",
        work_directory=tmp_path,
        threads=1,
        path="entity.runs.it.prompt",
    )
    contents = [json.loads(sent)["messages"][0]["content"] for sent in server.posted]
    assert contents[0].endswith("Text:\nthe cat sat\n\nPart:\ncat")
    assert contents[1].endswith(f"Text:\n{long}\n\nPart:\n{'a' * 150} [...] {'b' * 150}")


def test_a_cache_of_another_run_is_no_answer(tmp_path):
    cache = AnswerCache(tmp_path / "answers.jsonl")
    cache.add("key", {"class": "joy", "refused": False, "tokens": 1})
    assert "other" not in AnswerCache(tmp_path / "answers.jsonl")
    with nobody_listens() as url:
        asker = ClassAsker(settings(url, attempts=1), "p", CLASSES, cache)
        with pytest.raises(UserError, match="0 of 1 answers are kept"):
            asker.answers(["text"])
