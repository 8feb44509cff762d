"""The judge: marks as the benchmark reads them, and an endpoint that misbehaves in every way."""

import json
import threading

import pytest
import requests
from blocks import changed
from local_server import body, in_turn, serve, status

from affectlab.errors import UserError
from affectlab.samples.summary import write_longemotion
from affectlab.summary.baselines import write_baseline
from affectlab.summary.cases import FIELDS
from affectlab.summary.convert import Outputs, convert
from affectlab.summary.judge import CRITERIA, Judge, judge_run, question, read_marks
from affectlab.summary.settings import Judge as JudgeSettings
from affectlab.summary.settings import Split

PATH = "/v1/chat/completions"
REFERENCE = {name: f"reference of {name}" for name in FIELDS}
SUMMARY = {name: f"summary of {name}" for name in FIELDS}


def all_marks(mark):
    return {field: dict.fromkeys(CRITERIA, mark) for field in FIELDS}


def chat(text, tokens=100):
    content = {"choices": [{"message": {"content": text}}], "usage": {"total_tokens": tokens}}
    return body(json.dumps(content).encode())


GOOD = chat(f"```json\n{json.dumps(all_marks(4))}\n```")


@pytest.fixture
def server():
    with serve() as running:
        yield running


def settings(url, **changes):
    block = JudgeSettings(
        base_url=f"{url}/v1",
        model="judge",
        timeout_seconds=5,
        attempts=3,
        wait_seconds=0,
        price_per_million_tokens=2.0,
    )
    return changed(block, **changes)


def test_the_question_is_as_the_benchmark_asks(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret")
    server.replies[PATH] = GOOD
    judge = Judge(settings(server.url, api_key_variable="MY_KEY"), tmp_path)
    found = judge.marks(REFERENCE, SUMMARY)
    assert found["score"] == 4
    assert found["marks"] == all_marks(4)
    sent = json.loads(server.posted[0])
    assert sent["temperature"] == 0
    assert [message["role"] for message in sent["messages"]] == ["user"]
    text = sent["messages"][0]["content"]
    assert text == question(REFERENCE, SUMMARY)
    assert all(value in text for value in (*REFERENCE.values(), *SUMMARY.values()))
    assert server.requests[0][2]["Authorization"] == "Bearer secret"
    assert "secret" not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_a_question_is_asked_once(server, tmp_path):
    server.replies[PATH] = GOOD
    first = Judge(settings(server.url), tmp_path).marks(REFERENCE, SUMMARY)
    again = Judge(settings(server.url), tmp_path).marks(REFERENCE, SUMMARY)
    assert (first["cached"], again["cached"]) == (False, True)
    assert first["marks"] == again["marks"]
    assert len(server.posted) == 1
    Judge(settings(server.url, model="other"), tmp_path).marks(REFERENCE, SUMMARY)
    assert len(server.posted) == 2


@pytest.mark.parametrize(
    "trouble",
    [
        status(429),
        status(503),
        chat("I would rather not."),
        chat('```json\n{"causes": 4}\n```'),
        body(b"<html>busy</html>"),
        body(b'{"choices": []}'),
    ],
    ids=["rate limit", "busy", "no marks", "no criteria", "html", "no choice"],
)
def test_trouble_that_passes(server, tmp_path, trouble):
    server.replies[PATH] = in_turn(trouble, trouble, GOOD)
    assert Judge(settings(server.url), tmp_path).marks(REFERENCE, SUMMARY)["score"] == 4
    assert len(server.posted) == 3


def test_marks_count_where_the_tokens_are_not_told(server, tmp_path):
    server.replies[PATH] = chat(json.dumps(all_marks(4)), tokens=None)
    found = Judge(settings(server.url), tmp_path).marks(REFERENCE, SUMMARY)
    assert (found["score"], found["tokens"], len(server.posted)) == (4, 0, 1)


def test_a_slow_endpoint_is_asked_again(server, tmp_path):
    marked = threading.Event()
    server.replies[PATH] = in_turn(lambda handler: marked.wait(60), GOOD)
    judge = Judge(settings(server.url, timeout_seconds=2), tmp_path)
    assert judge.marks(REFERENCE, SUMMARY)["score"] == 4
    marked.set()
    assert len(server.posted) == 2


@pytest.mark.parametrize(
    ("reply", "error", "asked"),
    [
        (status(401), "answered with status 401", 1),
        (status(500), "answered with status 500", 3),
        (chat("no"), "no marks in the reply", 3),
    ],
)
def test_trouble_that_stays_counts_as_nought(server, tmp_path, reply, error, asked):
    server.replies[PATH] = reply
    found = Judge(settings(server.url), tmp_path / "cache").marks(REFERENCE, SUMMARY)
    assert (found["score"], found["error"]) == (0.0, error)
    assert len(server.posted) == asked
    assert not (tmp_path / "cache").exists()


def test_a_missing_key(tmp_path):
    with pytest.raises(UserError, match="no variable NO_SUCH_KEY"):
        Judge(settings("http://127.0.0.1:9", api_key_variable="NO_SUCH_KEY"), tmp_path)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (json.dumps(all_marks(2)), all_marks(2)),
        (f"Here: {json.dumps(all_marks(5))} done", all_marks(5)),
        ('```json\n{"causes": {"clarity": 3, "beauty": 5}}\n```', {"causes": {"clarity": 3}}),
        (json.dumps(all_marks(0)), all_marks(1)),
        ('{"causes": {"clarity": 9, "completeness": true, "factual_consistency": "4"}}', None),
        ("[1, 2]", None),
        ("", None),
    ],
)
def test_reading_marks(reply, expected):
    assert read_marks(reply) == expected


@pytest.fixture
def judged(tmp_path):
    """What `judge_run` needs of a run: 20 test cases and their summaries."""
    write_longemotion(tmp_path / "raw", cases=20)
    split = Split(validation=0.2, seed=0)
    paths = {name: tmp_path / f"{name}.jsonl" for name in ("records", "predictions", "details")}
    outputs = Outputs(paths["records"], tmp_path / "q.jsonl", tmp_path / "description.json")
    convert(tmp_path / "raw", outputs, {"layout": "longemotion"}, split=split)
    write_baseline(
        "lead",
        records_path=paths["records"],
        fold=None,
        predictions_path=paths["predictions"],
        details_path=paths["details"],
    )
    return {f"{name}_path": path for name, path in paths.items()} | {
        "fold": None,
        "level": 0.95,
        "cache": tmp_path / "cache",
        "output_path": tmp_path / "judge.json",
    }


def score_of(found):
    return found["metrics"]["judge_score"]["value"]


def test_failures_stay_in_the_mean(server, judged):
    server.replies[PATH] = in_turn(GOOD, chat("no"), GOOD, chat(json.dumps(all_marks(2))))
    judge_run(settings=settings(server.url, attempts=1), **judged)
    found = json.loads(judged["output_path"].read_text())
    assert len(found["items"]) == 4
    assert found["judge"]["failed"] == 1
    assert score_of(found) == pytest.approx((4 + 0 + 4 + 2) / 4)
    assert found["judge"]["score_without_failed"] == pytest.approx(10 / 3)
    low, high = found["metrics"]["judge_score"]["ci"]
    assert low < score_of(found) < high
    assert found["usage"]["tokens"] == 400
    assert found["usage"]["cost"] == pytest.approx(2.0 * 400 / 1e6)
    assert found["judge"]["errors"] == ["no marks in the reply"]


def test_an_endpoint_that_is_down_is_one_clear_error(judged, dead_url):
    with pytest.raises(UserError, match="no summary could be judged: cannot be reached"):
        judge_run(settings=settings(dead_url, attempts=1), **judged)
    assert not judged["output_path"].exists()


def test_an_endpoint_that_is_down_is_not_waited_for_with_every_summary(
    judged, monkeypatch, dead_url
):
    waits = []
    monkeypatch.setattr("affectlab.models.endpoint.time.sleep", waits.append)
    with pytest.raises(UserError, match="cannot be reached"):
        judge_run(settings=settings(dead_url, attempts=4, wait_seconds=2), **judged)
    assert waits == [2, 4, 8]


def test_an_endpoint_behind_a_wall_is_not_waited_for_with_every_summary(judged, monkeypatch):
    """What a firewall drops is never refused: connecting to it times out."""
    asked = []

    def drop(url, **given):
        asked.append(url)
        raise requests.ConnectTimeout

    monkeypatch.setattr(requests, "post", drop)
    with pytest.raises(UserError, match=r"cannot be reached \(ConnectTimeout\)"):
        judge_run(settings=settings("http://127.0.0.1:9", attempts=2), **judged)
    assert len(asked) == 2


def test_an_endpoint_that_goes_away_costs_the_rest_alone(server, judged):
    def gone(handler):
        handler.close_connection = True

    server.replies[PATH] = in_turn(GOOD, gone)
    judge_run(settings=settings(server.url, attempts=1), **judged)
    found = json.loads(judged["output_path"].read_text())
    assert (len(found["items"]), found["judge"]["failed"]) == (4, 3)
    assert score_of(found) == 1


def test_summaries_without_all_15_marks_are_counted(server, judged):
    some = json.dumps({"causes": {"clarity": 3}})
    server.replies[PATH] = in_turn(GOOD, chat(some), chat("no"), GOOD)
    judge_run(settings=settings(server.url, attempts=1), **judged)
    found = json.loads(judged["output_path"].read_text())
    assert (found["judge"]["failed"], found["judge"]["incomplete"]) == (1, 1)
    assert score_of(found) == pytest.approx((4 + 3 + 0 + 4) / 4)


def test_what_was_asked_before_costs_nothing_again(server, judged):
    server.replies[PATH] = in_turn(GOOD, chat("no"), GOOD, GOOD)
    judge_run(settings=settings(server.url, attempts=1), **judged)
    assert json.loads(judged["output_path"].read_text())["usage"]["tokens"] == 400
    server.replies[PATH] = chat("no", tokens=70)
    judge_run(settings=settings(server.url, attempts=1), **judged)
    found = json.loads(judged["output_path"].read_text())
    assert found["judge"]["failed"] == 1
    assert (found["usage"]["cached"], found["usage"]["tokens"]) == (3, 70)
    assert found["usage"]["cost"] == pytest.approx(2.0 * 70 / 1e6)


def test_marks_of_cases_that_are_no_longer_in_the_data_are_deleted(server, judged, tmp_path):
    server.replies[PATH] = GOOD
    judge_run(settings=settings(server.url), **judged)
    assert len(list(judged["cache"].glob("*.json"))) == 4
    gone = json.loads(judged["predictions_path"].read_text().splitlines()[0])["id"]
    for name in ("records", "predictions", "details"):
        path = judged[f"{name}_path"]
        lines = path.read_text().splitlines()
        rows = [line for line in lines if str(json.loads(line)["id"]) != str(gone)]
        path.write_text("".join(f"{row}\n" for row in rows))
        path.with_name(f".{path.name}.sha256").unlink(missing_ok=True)
    judge_run(settings=settings(server.url), **judged)
    found = json.loads(judged["output_path"].read_text())
    assert (len(found["items"]), found["usage"]["cached"]) == (3, 3)
    assert len(list(judged["cache"].glob("*.json"))) == 3
    assert len(list(judged["cache"].iterdir())) == 6
