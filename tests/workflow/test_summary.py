"""The summary experiment as a whole: what it leaves, what reruns, killed and corrupt runs."""

import json
import re

import numpy as np
import pytest
from card_checks import check_card
from local_server import body, serve
from transformers import BertConfig, BertForSequenceClassification

from affectlab.samples.models import write_tiny_bert
from affectlab.summary.cases import FIELDS
from affectlab.summary.judge import CRITERIA

RUN = "qwen2_tiny_fields/seed42"
AFTER_EVALUATION = {"summary_evaluate", "summary_card", "summary_compare", "report_build"}


@pytest.fixture(scope="session")
def overlays(project):
    alone = project.write_overlay("summary_alone", {"experiments": ["summary"]})
    return [project.root / "config" / "demo.yaml", project.overlay, alone]


@pytest.fixture(scope="session")
def finished_summary(project, overlays):
    """The folder of a complete run of this experiment; for reading only."""
    directory = project.directory("finished_summary")
    result = project.snakemake(directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    return directory


def test_a_run_leaves_every_artefact(finished_summary):
    results = finished_summary / "results"
    for name in (
        "metrics.json",
        "run.json",
        "evaluation_results.txt",
        "predictions.jsonl",
        "details.jsonl",
        "history.csv",
        "training.json",
        "model/adapter/adapter_model.safetensors",
        "model/model.safetensors",
        "model_card.md",
        "inference_example.py",
        "figures/fields.svg",
        "figures/training_curves.png",
    ):
        assert (results / "summary" / RUN / name).stat().st_size > 0, name
    check_card(results / "summary" / RUN)
    lengths = json.loads((results / "summary" / "untrained" / "lengths.json").read_text())
    # The tiny maximum cuts into some of the cases.
    assert 0 < lengths["cases_cut"] < lengths["cases"]
    assert lengths["long_input"] == "head_tail"
    comparison = json.loads((results / "summary" / "comparison.json").read_text())
    assert {run["run"] for run in comparison["runs"]} >= {"lead_demo", "tail_demo", "untrained"}
    assert not list((results / "summary").rglob("answers.jsonl"))
    page = (results / "report" / "index.html").read_text()
    assert "Summaries of cases" in page
    assert "tokens cut off" in page
    found = (
        r"has a ROUGE-2 of [\d.]+ on \d+ .*"
        r" \(95 % interval over items [\d.]+–[\d.]+; 1 seed\), [a-z ]+ the [\d.]+ of [a-z ]+, the"
        r" strongest trivial baseline"
    )
    assert re.search(found, page)
    assert "read as notes" not in page
    assert "qwen2_tiny_fields" in (results / "tables" / "results.csv").read_text()


def test_predictions_fit_their_schema(finished_summary, misfits):
    paths = sorted((finished_summary / "results" / "summary").glob("*/seed*/predictions.jsonl"))
    assert len(paths) >= 3
    assert [misfits(path, "summary") for path in paths] == [[]] * len(paths)


def test_a_second_run_does_nothing(project, overlays, finished_summary):
    result = project.snakemake(directory=finished_summary, overlays=overlays)
    assert "Nothing to be done" in result.output


TRAINED = {"summary_train", "summary_generate", "curves", "store_config"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"bootstrap": {"resamples": 101}}, AFTER_EVALUATION | {"store_config"}),
        (
            {"runs": {"qwen2_tiny_fields": {"training": {"weight_decay": 0.01}}}},
            AFTER_EVALUATION | TRAINED,
        ),
        (
            {"runs": {"lead_demo": {"fold": 2}}},
            {"summary_baseline", "summary_evaluate", "summary_compare"}
            | {"report_build", "store_config"},
        ),
    ],
    ids=["bootstrap", "recipe", "fold"],
)
def test_a_changed_setting_reruns_what_it_decides(
    project, overlays, finished_summary, change, expected, request
):
    name = f"summary_{request.node.callspec.id}"
    overlay = project.write_overlay(name, {"summary": change})
    result = project.snakemake("-n", directory=finished_summary, overlays=[*overlays, overlay])
    assert result.rules == expected


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (
            "summary/audit.py",
            {"summary_audit", "summary_lengths", "summary_card", "report_build"},
        ),
        ("summary/model_card.md.j2", {"summary_card", "report_build"}),
        ("summary/judge.py", set()),
        (
            "summary/prompt_fields_v1_en.txt",
            AFTER_EVALUATION | {"summary_lengths", "summary_train", "summary_generate", "curves"},
        ),
    ],
)
def test_an_edited_file_reruns_its_users(project, overlays, finished_summary, module, expected):
    with project.edited(module):
        result = project.snakemake("-n", directory=finished_summary, overlays=overlays)
    assert result.rules == expected


def test_a_killed_training_goes_on_to_the_same_bytes(project, overlays, finished_summary):
    directory = project.directory("killed_summary")
    target = f"results/summary/{RUN}/predictions.jsonl"
    often = {"runs": {"qwen2_tiny_fields": {"training": {"checkpoint_minutes": 1e-6}}}}
    overlays = [*overlays, project.write_overlay("summary_checkpoints", {"summary": often})]
    checkpoint = directory / "results/summary" / RUN / "work/checkpoints/checkpoint.pt"
    project.kill_once(checkpoint, target, directory=directory, overlays=overlays)
    assert checkpoint.exists()
    assert not (directory / target).exists()
    assert project.snakemake("--unlock", directory=directory, overlays=overlays).status == 0
    result = project.snakemake("--rerun-incomplete", target, directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    assert "summary_convert" not in result.jobs
    assert "resuming from update" in (directory / f"logs/summary_train/{RUN}.log").read_text()
    assert (directory / target).read_bytes() == (finished_summary / target).read_bytes()


def test_corrupt_data_stops_with_its_cause_on_the_console(project, overlays):
    directory = project.directory("corrupt_summary")
    corpus = directory / "mine" / "longemotion_sample"
    corpus.mkdir(parents=True)
    (corpus / "Emotion_Summary.jsonl").write_text('{"id": 1}\n')
    target = "results/summary/data/longemotion_sample/records.jsonl"
    result = project.snakemake(
        target,
        "--config",
        f"data_root={directory}/mine",
        directory=directory,
        overlays=overlays,
    )
    assert result.status == 1
    assert "line 1: missing field case_description" in result.output
    assert not (directory / target).exists()


FOLDS = [f"nearest_fold{fold}" for fold in range(3)]
CASES = {"tail_demo": 12, **dict.fromkeys(FOLDS, 20)}
SECRET = "not-to-be-written-down"


def write_entailing_bert(directory):
    """A classifier that finds every sentence entailed."""
    write_tiny_bert(directory)
    config = BertConfig.from_pretrained(directory)
    config.id2label = {0: "contradiction", 1: "entailment"}
    config.label2id = {name: number for number, name in config.id2label.items()}
    network = BertForSequenceClassification(config)
    network.classifier.weight.data.zero_()
    network.classifier.bias.data.copy_(network.classifier.bias.new_tensor([0.0, 1.0]))
    network.save_pretrained(directory)


@pytest.fixture(scope="module")
def scored(project, overlays, tmp_path_factory):
    """A run with all that no shipped configuration asks for; its overlays; what was posted."""
    models = tmp_path_factory.mktemp("models")
    write_entailing_bert(models / "entailing-bert")
    fold = {
        "protocol": "corrected",
        "method": "nearest",
        "data": "longemotion_sample",
        "seeds": [0],
    }
    marks = {field: dict.fromkeys(CRITERIA, 4) for field in FIELDS}
    answer = {"choices": [{"message": {"content": json.dumps(marks)}}]}
    with pytest.MonkeyPatch.context() as patch, serve() as server:
        patch.setenv("KEY_OF_THE_JUDGE", SECRET)
        server.replies["/v1/chat/completions"] = body(json.dumps(answer).encode())
        block = {
            "selected": FOLDS,
            "split": {"folds": 3},
            "cross_validation": {"all_folds": FOLDS},
            "bertscore_model": "roberta-tiny",
            "nli_model": "entailing-bert",
            "judge": {
                "base_url": f"{server.url}/v1",
                "model": "patient",
                "api_key_variable": "KEY_OF_THE_JUDGE",
                "timeout_seconds": 60,
                "attempts": 1,
                "wait_seconds": 0,
                "price_per_million_tokens": None,
            },
            "runs": {name: {**fold, "fold": number} for number, name in enumerate(FOLDS)},
        }
        entry = {"kind": "text-encoder", "title": "made here", "licence": "MIT"}
        content = {
            "summary": block,
            "model_root": str(models),
            "models": {
                "entailing-bert": {**entry, "parameters": 90_000, "size_mb": 1, "sources": []}
            },
        }
        overlays = [*overlays, project.write_overlay("summary_scored", content)]
        directory = project.directory("scored_summary")
        result = project.snakemake(directory=directory, overlays=overlays)
        assert result.status == 0, result.output
        yield directory, overlays, server


def records_of(folder, name):
    """Run -> its record of this name."""
    results = folder / "results" / "summary"
    return {run: json.loads((results / run / "seed0" / name).read_text()) for run in CASES}


def test_folds_are_scored_together(scored):
    folder, _, _ = scored
    comparison = folder / "results" / "summary" / "comparison.json"
    (pool,) = json.loads(comparison.read_text())["pools"]
    assert (pool["name"], pool["runs"], pool["n"]) == ("all_folds", FOLDS, 60)
    folds = records_of(folder, "metrics.json")
    for metric in ("rouge2", "rouge_l"):
        # Folds of the same size.
        wanted = np.mean([folds[name]["metrics"][metric]["value"] for name in FOLDS])
        assert pool["metrics"][metric]["value"] == pytest.approx(wanted)
        # The runs are this very baseline.
        nearest, lead = (pool["baselines"][method] for method in ("nearest", "lead"))
        same = nearest["differences"][metric]
        assert same["value"] == 0
        assert same["ci"][0] < 0 < same["ci"][1]
        assert lead["differences"][metric]["value"] == pytest.approx(
            wanted - lead["metrics"][metric]["value"]
        )
        assert wanted > lead["metrics"][metric]["value"] > 0


def test_models_score_each_run_on_its_own_cases(scored):
    found = records_of(scored[0], "metrics.json")
    for run, record in found.items():
        scores, n = record["metrics"], CASES[run]
        low, high = scores["bertscore"]["ci"]
        assert 0 < low < scores["bertscore"]["value"] < high < 1
        entailed = scores["entailed_sentences"]
        assert (entailed["value"], record["data"]["n"]) == (1, n)
        # No exception among n cases: the exact limit of a share.
        assert entailed["ci"] == [pytest.approx(0.025 ** (1 / n)), 1]


def test_a_judge_is_asked_once_about_each_summary(scored):
    folder, _, server = scored
    marks = records_of(folder, "judge.json")
    assert {run: len(record["items"]) for run, record in marks.items()} == CASES
    for record in records_of(folder, "metrics.json").values():
        judge = record["judge"]
        assert (judge["model"], judge["failed"]) == ("patient", 0)
        assert record["metrics"]["judge_score"]["value"] == 4
    assert all(record["judge"]["cached"] == 0 for record in records_of(folder, "run.json").values())
    assert len(server.posted) == sum(CASES.values())
    assert {headers["Authorization"] for _, _, headers in server.requests} == {f"Bearer {SECRET}"}
    written = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


def test_the_report_shows_what_was_asked_for(scored):
    page = (scored[0] / "results" / "report" / "index.html").read_text()
    assert "all_folds: all 60 cases of longemotion_sample, each by the run that" in page
    assert "all_folds, all 60 cases of longemotion_sample by 3 folds: ROUGE-2" in page
    for fact in (
        "<dt>judge (patient), 1 to 5",
        "<dt>bertscore</dt>",
        "<dt>entailed sentences</dt>",
    ):
        assert page.count(fact) == len(CASES), fact


SCORED_AGAIN = {"summary_evaluate", "summary_compare", "report_build", "store_config"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, set()),
        ({"judge": {"model": "strict"}}, {"summary_judge", *SCORED_AGAIN}),
        ({"nli_model": None}, {"summary_neural", *SCORED_AGAIN}),
        ({"judge": None}, SCORED_AGAIN),
    ],
    ids=["none", "judge", "nli", "no judge"],
)
def test_a_change_of_what_scores_runs_that_again(project, scored, change, expected, request):
    folder, overlays, _ = scored
    overlay = project.write_overlay(
        f"scored_{request.node.callspec.id}", {"summary": change} if change else {}
    )
    result = project.snakemake("-n", directory=folder, overlays=[*overlays, overlay])
    assert result.rules == expected
