"""The lines of `snakemake --logger affectlab`."""

import logging
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_affectlab import LogHandler, duration


@pytest.fixture
def handler():
    return LogHandler(SimpleNamespace(dryrun=False), None)


def send(handler, event=None, message="", level=logging.INFO, **details):
    record = logging.LogRecord("snakemake", level, "", 0, message, (), None)
    vars(record).update(details | ({} if event is None else {"event": event}))
    handler.handle(record)


def job(number, rule, **wildcards):
    return {"jobid": number, "rule_name": rule, "wildcards": wildcards, "log": [f"{rule}.log"]}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (125, "2:05 min"), (5400, "1:30 h")],
)
def test_times(seconds, text):
    assert duration(seconds) == text


def test_a_line_for_each_step_in_the_order_of_their_ends(handler, capsys):
    send(handler, LogEvent.RUN_INFO, stats={"total": 12})
    send(handler, LogEvent.JOB_INFO, **job(1, "emotion_train", run="minilm", seed="13"))
    send(handler, LogEvent.JOB_INFO, **job(2, "fetch_model", model="bert"))
    send(handler, LogEvent.JOB_FINISHED, job_id=2)
    send(handler, LogEvent.PROGRESS, done=1, total=12)
    send(handler, LogEvent.JOB_FINISHED, job_id=1)
    send(handler, LogEvent.PROGRESS, done=2, total=12)
    assert capsys.readouterr().err.splitlines() == [
        "12 steps to do",
        " 1 of 12  fetch model: bert (0 s)",
        " 2 of 12  emotion train: minilm, seed 13 (0 s)",
    ]


def test_a_failure_names_its_log(handler, capsys):
    send(handler, LogEvent.JOB_ERROR, **job(1, "face_train", run="tiny", seed="0", fold="2"))
    line = "failed: face train: tiny, seed 0, fold 2; its log: face_train.log\n"
    assert capsys.readouterr().err == line


def test_warnings_are_shown_and_chatter_is_not(handler, capsys):
    send(handler, message="Building DAG of jobs...")
    send(handler, message="the cache is old", level=logging.WARNING)
    send(handler, LogEvent.ERROR, message="no such target", level=logging.ERROR)
    send(handler, message="Nothing to be done (all requested files are present)")
    assert capsys.readouterr().err.splitlines() == [
        "the cache is old",
        "no such target",
        "Nothing to do: everything is there and up to date",
    ]


def test_a_dry_run_prints_the_table_of_jobs(capsys):
    handler = LogHandler(SimpleNamespace(dryrun=True), None)
    send(handler, LogEvent.RUN_INFO, message="Job stats:\nface_train 1", stats={"total": 1})
    assert capsys.readouterr().err == "Job stats:\nface_train 1\n"
