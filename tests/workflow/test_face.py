"""The face experiment through Snakemake: what a run leaves, and what changes run again."""

import json

import pytest
from card_checks import check_card

from affectlab.samples import face as samples

RUN = "results/face/compact_demo/seed13"
AFTER_EVALUATION = {"face_evaluate", "face_card", "face_compare", "report_build"}
AFTER_TRAINING = {"face_predict", "face_blur", "curves", "face_export"} | AFTER_EVALUATION


@pytest.fixture(scope="session")
def face_overlays(project):
    """The experiment alone, at its smallest."""
    alone = project.write_overlay(
        "face_alone", {"experiments": ["face"], "face": {"export": ["compact_demo"]}}
    )
    return [project.root / "config" / "demo.yaml", project.overlay, alone]


@pytest.fixture(scope="session")
def finished_face(project, face_overlays):
    """The folder of a complete run; for reading only."""
    directory = project.directory("finished_face")
    result = project.snakemake(directory=directory, overlays=face_overlays)
    assert result.status == 0, result.output
    return directory


def test_a_run_leaves_every_artefact(finished_face):
    folder = finished_face / RUN
    for name in (
        "metrics.json",
        "run.json",
        "predictions.jsonl",
        "history.csv",
        "training.json",
        "blur.json",
        "model_card.md",
        "inference_example.py",
        "model/model.safetensors",
        "export/model.int8.onnx",
        "export/export.json",
        "figures/blur_test.png",
        "figures/confusion_matrix.svg",
        "figures/reliability.svg",
        "figures/outputs.svg",
        "figures/training_curves.png",
    ):
        assert (folder / name).stat().st_size > 0, name
    check_card(folder)
    data = finished_face / "results" / "face" / "data" / "face_sample"
    audit = json.loads((data / "audit.json").read_text())
    assert audit["blank"]["images"] == samples.BLANKS
    assert len(audit["overlap"]["test_in_train"]) == samples.TWINS
    assert json.loads((data / "label_check.json").read_text())["images"] == sum(
        samples.COUNTS.values()
    )
    header = (data / "metadata_with_labels.csv").read_text().split("\n")[0]
    assert header == "image_path,emotion_label,valence,arousal,iq_proxy,eq_proxy,split"
    page = (finished_face / "results" / "report" / "index.html").read_text()
    assert 'id="face-scores"' in page
    assert 'id="face-exports"' in page
    table = (finished_face / "results" / "tables" / "results.csv").read_text()
    assert "ours,face,compact_demo,corrected" in table


def test_predictions_fit_their_schema(finished_face, misfits):
    assert misfits(finished_face / RUN / "predictions.jsonl", "face") == []


def test_a_second_run_does_nothing(project, face_overlays, finished_face):
    result = project.snakemake(directory=finished_face, overlays=face_overlays)
    assert result.status == 0, result.output
    assert "Nothing to be done" in result.output


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"bootstrap": {"resamples": 101}}, AFTER_EVALUATION),
        ({"blur_test": {"seed": 1}}, {"face_blur"} | AFTER_EVALUATION),
        (
            {"labels": {"formulas": "documented_weights"}},
            {"face_label", "face_check_labels", "face_train"} | AFTER_TRAINING,
        ),
        (
            {"runs": {"compact_demo": {"loss": {"affect_weight": 0.2}}}},
            {"face_train"} | AFTER_TRAINING,
        ),
    ],
    ids=["bootstrap", "blur_test", "labels", "recipe"],
)
def test_a_changed_setting_reruns_what_it_decides(
    project, face_overlays, finished_face, change, expected, request
):
    overlay = project.write_overlay(f"face_{request.node.callspec.id}", {"face": change})
    result = project.snakemake("-n", directory=finished_face, overlays=[*face_overlays, overlay])
    assert result.rules == expected | {"store_config"}


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("face/audit.py", {"face_audit"} | AFTER_EVALUATION),
        ("face/label_check.py", {"face_check_labels", "face_card", "report_build"}),
        ("face/card.py", {"face_card", "report_build"}),
        ("face/augment.py", {"face_train"} | AFTER_TRAINING),
        ("face/export.py", {"face_export", "report_build"}),
        ("face/report.py", {"report_build"}),
        ("face/cli.py", set()),
        # A generator reruns the fetching of its own data alone.
        ("samples/audio.py", set()),
    ],
)
def test_an_edited_module_reruns_its_users(project, face_overlays, finished_face, module, expected):
    with project.edited(module):
        result = project.snakemake("-n", directory=finished_face, overlays=face_overlays)
    assert result.rules == expected


def test_a_corrupt_image_stops_with_its_cause_and_leaves_nothing(project, face_overlays):
    directory = project.directory("face_corrupt")
    corpus = directory / "mine" / "face_sample"
    samples.write_corpus(corpus, 0, "folder", {"Training": 8})
    corrupt = sorted(corpus.rglob("*.jpg"))[3]
    corrupt.write_bytes(corrupt.read_bytes()[:-100])
    target = "results/face/data/face_sample/faces.npy"
    result = project.snakemake(
        target,
        *("--config", f"data_root={directory}/mine"),
        directory=directory,
        overlays=face_overlays,
    )
    assert result.status == 1
    assert f"{corrupt.name}: expected a whole image file" in result.output
    assert not (directory / target).exists()
