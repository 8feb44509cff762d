"""Predictions of face images that somebody else made, scored like any run."""

import csv
import html
import json
import subprocess
import sys

import pytest
from conftest import environment
from own_images import write_classes
from test_face import face_overlays  # noqa: F401

SEED = "results/face/{}/seed13"
SAME = ("metrics", "other_splits", "per_class", "confusion_matrix", "calibration")
"""Parts of metrics.json that do not tell who predicted."""
DECISIONS = {"accuracy", "macro_f1", "micro_f1", "macro_precision", "macro_recall"}


def theirs(path):
    return {
        "method": "predictions",
        "data": "face_sample",
        "seeds": [13],
        "predictions": {"path": path},
    }


@pytest.fixture(scope="module")
def scored(project, face_overlays):  # noqa: F811
    """The folder of a run of our own, its predictions fed back, and a table of decisions."""
    directory = project.directory("outside_faces")
    made = f"{SEED.format('compact_demo')}/predictions.jsonl"
    result = project.snakemake(made, directory=directory, overlays=face_overlays)
    assert result.status == 0, result.output
    rows = [json.loads(line) for line in (directory / made).read_text().splitlines()]
    with (directory / "plain.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "label"])
        table.writerows([row["id"], row["prediction"]] for row in rows if row["split"] == "test")
    block = {
        "selected": ["compact_demo", "fed_back", "plain"],
        "export": [],
        "runs": {"fed_back": theirs(made), "plain": theirs("plain.csv")},
    }
    overlay = project.write_overlay("outside_faces", {"experiments": ["face"], "face": block})
    result = project.snakemake(directory=directory, overlays=[*face_overlays, overlay])
    assert result.status == 0, result.output
    assert {"face_outside", "face_evaluate_outside", "report_build"} <= result.rules
    return directory


def metrics(scored, run):
    return json.loads((scored / SEED.format(run) / "metrics.json").read_text())


def test_our_own_predictions_fed_back_have_the_same_scores(scored):
    ours, fed_back = metrics(scored, "compact_demo"), metrics(scored, "fed_back")
    assert "iq_proxy_mae" in ours["metrics"]
    for part in SAME:
        assert fed_back[part] == ours[part], part
    assert not (scored / SEED.format("fed_back") / "model_card.md").exists()


def test_decisions_have_the_scores_of_decisions(scored):
    ours, plain = metrics(scored, "compact_demo")["metrics"], metrics(scored, "plain")
    assert plain["calibration"] is None
    assert plain["metrics"] == {name: ours[name] for name in DECISIONS}
    comparison = json.loads((scored / "results/face/comparison.json").read_text())
    assert [run["run"] for run in comparison["runs"]] == ["compact_demo", "fed_back", "plain"]
    page = html.unescape((scored / "results/report/index.html").read_text())
    assert "plain: Somebody else predicted these images." in page
    assert "There are no probabilities" in page


def test_the_referee_judges_a_folder_of_images(project):
    folder = project.directory("referee_faces")
    paths = write_classes(folder / "pictures", 45)
    tested = paths[:20]
    kinds = [path.split("/")[0] for path in tested]
    predicted = [*kinds[:16], *(kinds[n - 1] for n in range(16, 20))]
    lines = ["id,label", *(f"{path},{kind}" for path, kind in zip(tested, predicted, strict=True))]
    (folder / "theirs.csv").write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "affectlab", "referee", "face", "--data", "pictures"),
            *("--predictions", "theirs.csv", "--claim", "accuracy=0.99"),
        ],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert "On 20 images the accuracy is 0.800" in words
    assert "The claim is 0.990" in words
    assert "Somebody else predicted these images." in words
