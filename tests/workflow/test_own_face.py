"""A user's own face images through Snakemake: from `affectlab init` to report and predictor."""

import html
import json
import re
import subprocess
import sys

import pytest
import yaml
from card_checks import check_card
from own_images import KINDS, drawn, write_classes, write_image

from affectlab import cli

FOREIGN = ("FER2013", "FER+", "IQ", "EQ", "seven", "48 x 48", "tweet", "counselling", "indices")
"""What is true of the published corpus alone."""

QUICK = {
    "datasets": {
        "my_faces": {"split": {"folds": 3}},
        "fixed": {
            "path": "my faces",
            "layout": "image_folder",
            "licence": "CC0",
            "image": {"size": 32},
        },
    },
    "face": {
        "selected": ["my_faces_tiny", "fixed_small"],
        "export": ["fixed_small"],
        "bootstrap": {"resamples": 100},
        "runs": {
            "my_faces_tiny": {"training": {"epochs": 1}},
            "fixed_small": {
                "like": "small",
                "data": "fixed",
                "network": {"widths": [8, 8], "depths": [1, 1]},
                "training": {"epochs": 1},
            },
        },
    },
}
"""The proposed configuration at its smallest, and the same images with a test split."""


def write_faces(folder, count=72):
    """Images of 12 persons with planted traps; each person shows one expression."""
    paths = write_classes(folder, count)
    people = [f"P{number % 12:02d}" for number in range(count)]
    people[12] = "p00"
    images = drawn(count)[1]
    # One class was recorded with another camera.
    for number in range(0, count, len(KINDS)):
        write_image(folder / paths[number], images[number][4:-4, 4:-4])
    paths.append("traurig/again.jpg")
    people.append("P03")
    write_image(folder / paths[-1], images[2] // 2 + 40)
    lines = [f"{path},{person}" for path, person in zip(paths, people, strict=True)]
    (folder / "metadata.csv").write_text("file_name,subject\n" + "\n".join(lines) + "\n")


def proposed_by_init(directory):
    """The file with what `affectlab init` prints of the images in *directory*."""
    program = "import sys; from affectlab.cli import main; sys.exit(main())"
    printed = subprocess.run(
        [sys.executable, "-c", program, "init", "face", "my faces"],
        cwd=directory,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    path = directory / "mine.yaml"
    path.write_text(printed)
    return path


@pytest.fixture(scope="session")
def own_faces(project):
    """The folder of a complete run."""
    directory = project.directory("own_faces")
    write_faces(directory / "my faces")
    proposed = proposed_by_init(directory)
    quick = project.write_overlay("own_faces_quick", QUICK)
    result = project.snakemake(directory=directory, overlays=[proposed, quick])
    assert result.status == 0, result.output
    return directory


def record(folder, run):
    return json.loads((folder / "results" / "face" / run / "metrics.json").read_text())


def test_the_proposed_configuration_is_short_and_complete(own_faces):
    text = (own_faces / "mine.yaml").read_text()
    assert sum(not line.startswith("#") for line in text.splitlines()) <= 20
    entry = yaml.safe_load(text)["datasets"]["my_faces"]
    assert entry["columns"] == {"group": "subject"}
    assert entry["classes"] == list(KINDS)
    assert entry["image"] == {"size": 96, "color": True}
    assert entry["split"] == {"folds": 5}


def test_every_image_is_predicted_once_and_scored_with_a_baseline(own_faces, misfits):
    found = record(own_faces, "my_faces_tiny/seed13")
    assert found["data"]["split"] == "cross-validation"
    assert found["data"]["classes"] == list(KINDS)
    assert found["data"]["n"] == 73
    accuracy = found["metrics"]["accuracy"]
    assert accuracy["ci"][0] <= accuracy["value"] <= accuracy["ci"][1]
    # The size of an image gives one class away.
    assert accuracy["baseline"]["name"].startswith("conditions")
    assert accuracy["baseline"]["value"] > 0.5
    path = own_faces / "results/face/my_faces_tiny/seed13/predictions.jsonl"
    assert misfits(path, "face") == []
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({row["id"] for row in rows if row["split"] == "test"}) == 73
    assert record(own_faces, "fixed_small/seed13")["data"]["split"] == "test"


def test_planted_traps_are_in_audit_card_and_report(own_faces):
    audit = json.loads((own_faces / "results/face/data/my_faces/audit.json").read_text())
    traps = {trap["name"]: trap["sentence"] for trap in audit["traps"]}
    assert set(traps) == {
        "name_in_two_spellings",
        "label_constant_per_group",
        "condition_predicts_class",
        "near_duplicates",
    }
    assert "1 name is spelled" in traps["name_in_two_spellings"]
    assert "size" in traps["condition_predicts_class"]
    assert "traurig/again.jpg" in traps["near_duplicates"]
    card = (own_faces / "results/face/my_faces_tiny/seed13/model_card.md").read_text()
    page = html.unescape((own_faces / "results/report/index.html").read_text())
    for sentence in traps.values():
        assert sentence in page
        assert re.sub(r"\W", "", sentence) in re.sub(r"\W", "", card)


def test_card_and_report_say_what_is_known_of_these_images_alone(own_faces):
    runs = {"my_faces_tiny": "not stated", "fixed_small": "CC0"}
    page = html.unescape((own_faces / "results/report/index.html").read_text())
    texts = [re.sub(r"<(style|script|svg).*?</\1>|<[^>]*>|data:\S+", " ", page, flags=re.DOTALL)]
    for run, licence in runs.items():
        folder = own_faces / "results" / "face" / run / "seed13"
        card = check_card(folder)
        assert f"Data: {licence}; terms" in card
        assert "3 classes of face images" in card
        assert "A fixed value inside it cannot be told apart from the score." in card
        texts += [card, (folder / "inference_example.py").read_text()]
    for text in texts:
        found = [word for word in FOREIGN if re.search(rf"\b{re.escape(word)}(?!\w)", text)]
        assert found == []
    assert "cross-validated in 3 folds" in texts[1]


def test_the_predictor_answers_with_the_own_classes(own_faces, capsys):
    image = own_faces / "my faces" / "froh" / "003.webp"
    for run in ("my_faces_tiny", "fixed_small"):
        folder = own_faces / "results" / "face" / run / "seed13"
        assert cli.main(["predict", "face", str(image), "--model", str(folder / "model")]) == 0
        [face] = json.loads(capsys.readouterr().out)["faces"]
        assert list(face) == ["label", "probabilities"]
        assert list(face["probabilities"]) == list(KINDS)
    exported = ["--onnx", str(folder / "export" / "model.onnx")]
    assert (
        cli.main(["predict", "face", str(image), "--model", str(folder / "model"), *exported]) == 0
    )
    assert json.loads(capsys.readouterr().out)["faces"][0]["label"] == face["label"]


@pytest.mark.nightly
def test_the_proposed_configuration_runs_unchanged(project):
    directory = project.directory("own_faces_nightly")
    write_faces(directory / "my faces", 300)
    proposed = proposed_by_init(directory)
    result = project.snakemake(directory=directory, overlays=[proposed])
    assert result.status == 0, result.output
    comparison = json.loads((directory / "results/face/comparison.json").read_text())
    assert [run["run"] for run in comparison["runs"]] == ["my_faces_tiny", "my_faces_small"]
