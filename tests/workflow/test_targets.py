"""Targets that were asked for by mistake."""

import re

import pytest


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("emotionn", "Did you mean 'emotion'? Targets are: all, audio, check, emotion, "),
        ("Face", "Did you mean 'face'? Targets are: "),
        ("everything", "No rule to produce everything. Targets are: all, "),
        (
            "results/emotion/tfidff/seed0/metrics.json",
            "Did you mean 'results/emotion/tfidf/seed0/metrics.json'?",
        ),
        (
            "results/summary/data/psyqa/audit.jsn",
            "Did you mean 'results/summary/data/psyqa/audit.json'?",
        ),
    ],
)
def test_the_nearest_target_is_suggested(project, tmp_path, target, hint):
    result = project.snakemake("-n", target, directory=tmp_path, overlays=())
    assert result.status == 1
    assert f"No rule to produce {target}. " in result.output
    assert hint in result.output
    assert "report, report" not in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "results/emotion/tfidf/seed99/metrics.json",
            "seed99: 99 is no seed of the emotion run 'tfidf', which has 0; add it to "
            "emotion.runs.tfidf.seeds\n",
        ),
        ("results/summary/lead/seed00/metrics.json", "00 is no seed of the summary run 'lead'"),
    ],
)
def test_a_seed_that_a_run_does_not_have_is_refused(project, tmp_path, target, message):
    result = project.snakemake("-n", target, directory=tmp_path, overlays=())
    assert result.status == 1
    assert message in result.output
    assert "Traceback" not in result.output
    assert "Job stats" not in result.output


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("\tmine: 1\n", "a tab; indent with spaces\n"),
        ("face: {}\n", "the key 'face' stands here twice\n"),
    ],
)
def test_a_mistake_in_the_checkout_s_own_configuration_has_a_place(
    project, tmp_path, ending, message
):
    path = project.root / "config" / "config.yaml"
    before = path.read_text(encoding="utf-8")
    try:
        path.write_text(before + ending, encoding="utf-8")
        result = project.snakemake("-n", directory=tmp_path, overlays=())
    finally:
        path.write_text(before, encoding="utf-8")
    assert result.status == 1
    assert f"{path}, line {before.count(chr(10)) + 1}, column 1: {message}" in result.output
    assert "Traceback" not in result.output


def test_a_terminal_gets_a_line_for_each_step(project, tmp_path):
    """Names of the steps and their times; of a step that fails its message and its log."""
    (tmp_path / "mine.csv").write_text("text,label\ngood,joy\nbad,\n")
    data = {"mine": {"path": "mine.csv", "layout": "table"}}
    runs = {"words": {"like": "tfidf", "data": "mine"}}
    block = {"selected": ["words"], "runs": runs}
    overlay = project.write_overlay(
        "terminal", {"experiments": ["emotion"], "datasets": data, "emotion": block}
    )
    result = project.snakemake(
        *("--logger", "affectlab"),
        directory=tmp_path,
        overlays=[overlay],
    )
    assert result.status == 1
    begun, *lines, failed, last = result.output.splitlines()[1:6]
    assert begun == "11 steps to do"
    assert re.fullmatch(r" [12] of 11  (store config|fetch dataset: mine) \(\d+ s\)", lines[0])
    assert failed == "ERROR: resources/raw/mine/files/mine.csv, line 3: the label is empty"
    assert last == "failed: emotion convert: mine; its log: logs/emotion_convert/mine.log"
    assert "CalledProcessError" not in result.output
