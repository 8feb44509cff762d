"""Language models that are prompted for the class of a span, scored like any run."""

import json

import pytest
from local_server import in_turn, serve
from own_spans import rows_of, write
from test_own_emotion import words_of
from test_prompted_texts import CAUSAL, PATH, asking, chat

ENTRY = {
    "layout": "spans",
    "path": "scenes.jsonl",
    "language": "en",
    "columns": {"text": "text", "spans": "spans", "group": "author"},
    "split": {"column": "set"},
}


@pytest.fixture(scope="module")
def scored(project):
    directory = project.directory("prompted_spans")
    parts = ("train", "validation", "test")
    rows = [{**row, "set": parts[n // 5 % 3]} for n, row in enumerate(rows_of(45))]
    write(directory / "scenes.jsonl", rows)
    local = {"method": "prompt", "model": "qwen3-tiny", "seeds": [0], "prompt": {"max_length": 400}}
    with serve() as server:
        server.replies[PATH] = in_turn(chat("No idea."), chat("Joy."))
        overlay = project.write_overlay(
            "prompted_spans",
            {
                "experiments": ["entity"],
                "datasets": {"scenes": ENTRY},
                "models": {"qwen3-tiny": CAUSAL},
                "entity": {
                    "selected": ["local", "asked"],
                    "bootstrap": {"resamples": 100},
                    "runs": {
                        "local": {"data": "scenes", **local},
                        "asked": {"data": "scenes", **asking(server.url)},
                    },
                },
            },
        )
        result = project.snakemake(directory=directory, overlays=[overlay])
    assert result.status == 0, result.output
    assert {"entity_prompt", "entity_prompt_endpoint", "report_build"} <= result.rules
    return directory


def metrics(scored, run):
    return json.loads((scored / f"results/entity/{run}/seed0/metrics.json").read_text())


@pytest.mark.nightly
def test_spans_are_scored_by_their_classes(scored):
    local, asked = metrics(scored, "local"), metrics(scored, "asked")
    assert local["data"]["n"] == asked["data"]["n"] > 10
    assert local["model"]["name"] == "qwen3-tiny"
    assert local["calibration"]["fitted_on"] == "validation"
    assert asked["model"]["name"] == "theirs"
    assert asked["calibration"] is None
    assert asked["details"]["outside"]["invalid"] == 1
    for record in (local, asked):
        assert {"accuracy", "macro_f1"} <= set(record["metrics"])
        assert not [name for name in record["metrics"] if name.startswith(("kappa", "retrieval"))]
    assert {"ece", "nll"} <= set(local["metrics"])


@pytest.mark.nightly
def test_the_report_tells_who_predicted(scored):
    shown = words_of((scored / "results/report/index.html").read_text())
    assert "qwen3-tiny classified these" in shown
    assert f"1 of {metrics(scored, 'asked')['data']['n']} answers name no class" in shown
