"""The entity experiment through Snakemake: artefacts, what reruns after what, interruption."""

import json
import re

import pytest
import yaml
from card_checks import check_card

RUNS = ("gbert_tiny/seed42", "goemotions_demo/seed13", "spans_demo/seed13")
ARTEFACTS = (
    "metrics.json",
    "run.json",
    "predictions.parquet",
    "history.csv",
    "training.json",
    "model_card.md",
    "inference_example.py",
    "model/gbert.json",
    "model/model.safetensors",
    "figures/kappa.svg",
    "figures/map.png",
    "figures/reliability.svg",
    "figures/training_curves.svg",
)


@pytest.fixture(scope="session")
def entity_overlays(project):
    alone = project.write_overlay("entity_alone", {"experiments": ["entity"]})
    return [project.root / "config" / "demo.yaml", project.overlay, alone]


@pytest.fixture(scope="session")
def finished_entity(project, entity_overlays):
    """The folder of a complete run of this experiment; for reading only."""
    directory = project.directory("finished_entity")
    result = project.snakemake(directory=directory, overlays=entity_overlays)
    assert result.status == 0, result.output
    return directory


def test_a_run_leaves_every_artefact(finished_entity):
    results = finished_entity / "results"
    for run in RUNS:
        for name in ARTEFACTS:
            assert (results / "entity" / run / name).stat().st_size > 0, (run, name)
        check_card(results / "entity" / run)
    comparison = json.loads((results / "entity" / "comparison.json").read_text())
    assert {run["run"] for run in comparison["runs"]} == {run.split("/")[0] for run in RUNS}
    page = (results / "report" / "index.html").read_text()
    assert 'id="entity"' in page
    found = (
        r"on \d+ unseen targets \(95 % interval over items [\d.]+–[\d.]+; 1 seed\),"
        r" [a-z ]+ the [\d.]+ of [a-z ]+, the strongest trivial baseline"
    )
    assert re.search(found, page)
    assert "entity,gbert_tiny," in (results / "tables" / "results.csv").read_text()
    audit = json.loads((results / "entity/data/entity_sample/audit.json").read_text())
    assert audit["spans"]["not_first_occurrence"] > 0


def test_predictions_fit_their_schema(finished_entity, misfits):
    for run in RUNS:
        path = finished_entity / "results" / "entity" / run / "predictions.parquet"
        assert misfits(path, "entity") == []


def test_a_second_run_does_nothing(project, finished_entity, entity_overlays):
    result = project.snakemake(directory=finished_entity, overlays=entity_overlays)
    assert result.status == 0, result.output
    assert "Nothing to be done" in result.output


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"bootstrap": {"resamples": 101}},
            {"entity_evaluate", "entity_card", "entity_compare", "entity_updates"}
            | {"report_build", "store_config"},
        ),
        (
            {"runs": {"goemotions_demo": {"vmf": {"temperature": 0.2}}}},
            # The run that starts from it is trained again as well.
            {"entity_train", "entity_predict", "entity_evaluate", "curves", "entity_card"}
            | {"entity_compare", "entity_updates", "report_build", "store_config"},
        ),
    ],
    ids=["bootstrap", "recipe"],
)
def test_a_changed_setting_reruns_what_it_decides(
    project, finished_entity, entity_overlays, change, expected, request
):
    name = request.node.callspec.id
    overlay = project.write_overlay(f"entity_{name}", {"entity": change})
    result = project.snakemake(
        "-n", directory=finished_entity, overlays=[*entity_overlays, overlay]
    )
    assert result.rules == expected
    if name == "recipe":
        assert result.jobs["entity_train"] == 2


def test_another_split_leaves_a_corpus_with_splits_of_its_own_alone(
    project, finished_entity, entity_overlays
):
    overlay = project.write_overlay("entity_split", {"entity": {"split": {"test": 0.25}}})
    result = project.snakemake(
        "-n", directory=finished_entity, overlays=[*entity_overlays, overlay]
    )
    assert {"entity_convert", "entity_train"} <= result.rules
    assert result.jobs["entity_convert"] == 1
    assert "run=spans_demo" in result.output
    assert "run=goemotions_demo" not in result.output


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("entity/audit.py", {"entity_audit", "entity_card", "report_build"}),
        ("entity/model_card.md.j2", {"entity_card", "report_build"}),
        ("entity/figures.py", {"entity_evaluate", "entity_compare"}
         | {"entity_updates", "entity_card", "report_build"}),
        ("entity/original.py", {"entity_predict", "entity_evaluate", "entity_compare"}
         | {"entity_updates", "entity_card", "report_build"}),
    ],
)  # fmt: skip
def test_an_edited_module_reruns_its_users(
    project, finished_entity, entity_overlays, module, expected
):
    with project.edited(module):
        result = project.snakemake("-n", directory=finished_entity, overlays=entity_overlays)
    assert result.rules == expected


def test_a_killed_training_goes_on_to_the_same_numbers(project, finished_entity, entity_overlays):
    """kill -9 of everything in the midst of the training; then unlock and go on."""
    directory = project.directory("killed_entity")
    target = "results/entity/gbert_tiny/seed42/model"
    stage = directory / "results/entity/gbert_tiny/seed42/work/checkpoints/stage0.json"
    project.kill_once(stage, target, directory=directory, overlays=entity_overlays)
    assert not (directory / target).exists()
    assert project.snakemake("--unlock", directory=directory, overlays=entity_overlays).status == 0
    result = project.snakemake(
        "--rerun-incomplete", target, directory=directory, overlays=entity_overlays
    )
    assert result.status == 0, result.output
    log = directory / "logs" / "entity_train" / "gbert_tiny" / "seed42.log"
    assert "stage 1 was finished before" in log.read_text()
    for name in ("model.safetensors", "heads.safetensors"):
        again, once = (folder / target / name for folder in (directory, finished_entity))
        assert again.read_bytes() == once.read_bytes()


def test_a_broken_line_stops_with_its_cause_on_the_console(project, entity_overlays):
    directory = project.directory("corrupted_entity")
    corpus = directory / "mine" / "entity_sample"
    corpus.mkdir(parents=True)
    (corpus / "spans.jsonl").write_text('{"text": "broken\n')
    target = "results/entity/data/entity_sample/records.jsonl"
    arguments = (target, "--config", "data_root=mine")
    result = project.snakemake(*arguments, directory=directory, overlays=entity_overlays)
    assert result.status == 1
    assert "spans.jsonl, line 1: not valid JSON" in result.output
    assert not (directory / target).exists()


def test_without_the_span_corpus_weak_spans_are_planned(project):
    """With the overlay of docs/entity.md: two corpora, and the run that this one starts from."""
    overlay = project.write_overlay(
        "entity_weak", {"experiments": ["entity"], "entity": {"selected": ["weak_spans_minilm"]}}
    )
    result = project.snakemake("-n", directory=project.directory("weak"), overlays=[overlay])
    assert result.status == 0, result.output
    assert result.jobs["fetch_dataset"] == result.jobs["entity_convert"] == 2
    named = {key: set(re.findall(rf"\b{key}=(\w+)", result.output)) for key in ("data", "run")}
    assert named == {
        "data": {"goemotions", "goemotions_spans"},
        "run": {"goemotions_minilm", "weak_spans_minilm"},
    }


def test_a_start_that_does_not_fit_is_named(project, entity_overlays):
    overlay = project.write_overlay(
        "entity_start",
        yaml.safe_load(
            "entity: {runs: {spans_demo: {model: minilm-l6, seeds: [99]}}, "
            "split: {validation: 0.6, test: 0.5}}"
        ),
    )
    result = project.snakemake(
        "-n", directory=project.directory("start"), overlays=[*entity_overlays, overlay]
    )
    assert result.status == 1
    assert "'goemotions_demo' has the model 'roberta-tiny', this run 'minilm-l6'" in result.output
    assert "has no seed 99" in result.output
    assert "entity.split: validation and test leave nothing to train on" in result.output
