"""The summary experiment as a whole: what it leaves, what reruns, killed and damaged runs."""

import json

import pytest

RUN = "qwen2_tiny_fields/seed42"
AFTER_EVALUATION = {"summary_evaluate", "summary_card", "summary_compare", "report_build"}


@pytest.fixture(scope="session")
def overlays(project):
    alone = project.write_overlay("summary_alone", {"wings": ["summary"]})
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
    lengths = json.loads((results / "summary" / "untrained" / "lengths.json").read_text())
    # The tiny maximum cuts into some of the cases.
    assert 0 < lengths["cases_cut"] < lengths["cases"]
    assert lengths["long_input"] == "head_tail"
    comparison = json.loads((results / "summary" / "comparison.json").read_text())
    assert {run["run"] for run in comparison["runs"]} >= {"lead_demo", "tail_demo", "untrained"}
    assert not list((results / "summary").rglob("answers.jsonl"))
    page = (results / "report" / "index.html").read_text()
    assert "Summaries of counselling cases" in page
    assert "tokens cut off" in page
    assert "read as notes" not in page
    assert "qwen2_tiny_fields" in (results / "tables" / "results.csv").read_text()


def test_predictions_fit_their_schema(finished_summary, misfits):
    paths = sorted((finished_summary / "results" / "summary").glob("*/seed*/predictions.jsonl"))
    assert len(paths) >= 3
    assert [misfits(path, "summary") for path in paths] == [[]] * len(paths)


def test_a_second_run_does_nothing(project, overlays, finished_summary):
    result = project.snakemake(directory=finished_summary, overlays=overlays)
    assert "Nothing to be done" in result.output


TRAINED = {"summary_train", "summary_generate", "summary_curves", "store_config"}


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
            AFTER_EVALUATION
            | {"summary_lengths", "summary_train", "summary_generate", "summary_curves"},
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
    started = directory / "logs" / "summary_train" / f"{RUN}.log"
    project.kill_once(started, target, directory=directory, overlays=overlays)
    assert not (directory / target).exists()
    assert project.snakemake("--unlock", directory=directory, overlays=overlays).status == 0
    result = project.snakemake("--rerun-incomplete", target, directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    assert "summary_convert" not in result.jobs
    assert (directory / target).read_bytes() == (finished_summary / target).read_bytes()


def test_damaged_data_stops_with_its_cause_on_the_console(project, overlays):
    directory = project.directory("damaged_summary")
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
