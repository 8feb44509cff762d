"""Language models that are prompted for the class of a text, scored like any run."""

import json

import pytest
from local_server import body, in_turn, serve, status
from own_texts import CLASSES, rows_of, write_csv
from test_own_emotion import TINY, WORDS, overlay_of, words_of

ENTRY = {
    "path": "mine.csv",
    "columns": {"text": "tweet", "label": "emo"},
    "split": {"test": 0.3, "validation": 0.1, "seed": 0},
}
CAUSAL = TINY | {"kind": "causal-lm", "sources": [{"kind": "sample", "generator": "qwen3"}]}
PATH = "/v1/chat/completions"


def prompted(overlay):
    overlay["models"] = {"qwen3-tiny": CAUSAL}
    return overlay


def chat(text):
    content = {"choices": [{"message": {"content": text}}], "usage": {"total_tokens": 9}}
    return body(json.dumps(content).encode())


def asking(url, **settings):
    endpoint = {"base_url": f"{url}/v1", "model": "theirs", "attempts": 1, "wait_seconds": 0}
    return {"method": "prompt", "seeds": [0], "prompt": {"endpoint": endpoint | settings}}


LOCAL = {
    "method": "prompt",
    "model": "qwen3-tiny",
    "seeds": [0],
    "prompt": {"max_length": 200, "template": "ask.txt"},
}


@pytest.fixture(scope="module")
def scored(project):
    """A local model, and an endpoint that fails on the way and names no class at times."""
    directory = project.directory("prompted")
    write_csv(directory, [{"tweet": row["tweet"], "emo": row["emo"]} for row in rows_of(120)])
    (directory / "ask.txt").write_text("{classes}\nWelche Klasse? {text}")
    with serve() as server:
        runs = {"words": WORDS, "local": LOCAL, "asked": asking(server.url)}
        overlay = project.write_overlay("prompted", prompted(overlay_of(ENTRY, **runs)))
        first, *_ = CLASSES
        server.replies[PATH] = in_turn(chat(first), chat("No idea."), chat(first), status(500))
        target = "results/emotion/asked/seed0/predictions.jsonl"
        result = project.snakemake(target, directory=directory, overlays=[overlay])
        assert result.status != 0
        assert "answered with status 500. 3 of 36 answers are kept" in result.output
        server.posted.clear()
        server.replies[PATH] = chat(f'{{"class": "{first}"}}')
        result = project.snakemake(directory=directory, overlays=[overlay])
        assert result.status == 0, result.output
        assert len(server.posted) == 36 - 3
    assert {"emotion_prompt", "emotion_prompt_endpoint", "report_build"} <= result.rules
    again = project.snakemake("-n", directory=directory, overlays=[overlay])
    assert "Nothing to be done" in again.output
    return directory


def read(scored, run, name):
    return json.loads((scored / f"results/emotion/{run}/seed0/{name}").read_text())


def predictions(scored, run):
    path = scored / f"results/emotion/{run}/seed0/predictions.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_local_model_has_probabilities(scored):
    record = read(scored, "local", "metrics.json")
    assert (record["method"], record["model"]["name"]) == ("prompt", "qwen3-tiny")
    assert record["data"]["n"] == 36
    assert {"accuracy", "ece", "nll_calibrated"} <= set(record["metrics"])
    found = record["details"]["outside"]
    assert (found["kind"], found["decoding"], found["invalid"]) == ("prompt", "likelihood", 0)
    assert found["prompt"]["version"] is None
    for row in predictions(scored, "local"):
        assert list(row["probabilities"]) == list(CLASSES)
        assert sum(row["probabilities"].values()) == pytest.approx(1)
    assert not list((scored / "results/emotion/local/seed0/work").glob("*"))


def test_an_answer_that_is_no_class_counts_as_wrong(scored):
    record = read(scored, "asked", "metrics.json")
    rows = predictions(scored, "asked")
    assert len(rows) == record["data"]["n"] == 36
    [invalid] = [row for row in rows if row.get("invalid")]
    assert invalid["prediction"] != invalid["label"]
    right = sum(row["label"] == CLASSES[0] for row in rows if not row.get("invalid"))
    assert record["metrics"]["accuracy"]["value"] == pytest.approx(right / 36)
    assert record["calibration"] is None
    assert record["model"]["name"] == "theirs"
    assert read(scored, "asked", "outside.json")["splits_left_out"] == ["validation"]
    shown = words_of((scored / "results/report/index.html").read_text())
    assert "1 of 36 answers name no class; they count as wrong" in shown
    assert "There are no probabilities" in shown
    assert "qwen3-tiny classified these test texts by a prompt from a template file" in shown


def test_no_log_holds_a_text(scored):
    texts = [row["tweet"] for row in rows_of(120)]
    logs = "".join(path.read_text() for path in scored.glob("logs/**/*.log"))
    assert "answers are kept from before" in logs
    assert not [text for text in texts if text in logs]


def test_mistakes_are_reported_together(project):
    runs = {
        "encoder": {"method": "prompt", "model": "bert-tiny", "seeds": [0, 1]},
        "secret": asking("http://ann:s3cret@127.0.0.1"),
        "file": LOCAL | {"prompt": {"template": "nothing.txt"}},
        "words": {**WORDS, "prompt": {}},
    }
    overlay = overlay_of(ENTRY, **runs)
    overlay["models"] |= {"qwen3-tiny": CAUSAL}
    result = project.snakemake(
        "-n",
        directory=project.directory("prompted_mistakes"),
        overlays=[project.write_overlay("prompted_mistakes", overlay)],
    )
    assert result.status != 0
    for mistake in (
        "emotion.runs.encoder.model: ",
        "emotion.runs.encoder.seeds: no seed changes the answers to a prompt; expected one seed",
        "emotion.runs.secret.prompt.endpoint.base_url: ",
        "emotion.runs.file.prompt.template: nothing.txt cannot be read",
        "emotion.runs.words.prompt: does not go with method 'tfidf'",
    ):
        assert mistake in result.output
    assert "s3cret" not in result.output
