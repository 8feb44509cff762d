"""A classifier that others trained on data with folds: no fold is left out of it."""

import html
import json

import pytest
from own_images import write_classes
from own_texts import rows_of, write_csv
from sklearn.metrics import accuracy_score
from test_pretrained_scenario import KIND, OURS, pretrained
from their_models import write_images_model, write_texts_model

FOLDS = {"folds": 3, "seed": 0}


@pytest.fixture(scope="module")
def results(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folds")
    write_texts_model(folder / "theirs_text")
    write_images_model(folder / "theirs_image")
    directory = project.directory("pretrained_folds")
    write_csv(directory, [{"tweet": row["tweet"], "emo": OURS[row["emo"]]} for row in rows_of(60)])
    write_classes(directory / "pictures", 30)
    image = {"size": 48, "color": True}
    mapping = {"happy": "froh", "surprise": "staunend", "sad": "traurig"}
    overlay = {
        "experiments": ["emotion", "face"],
        "model_root": str(folder),
        "datasets": {
            "mine": {"path": "mine.csv", "layout": "table", "language": "en", "split": FOLDS,
                     "columns": {"text": "tweet", "label": "emo"}},
            "pictures": {"path": "pictures", "layout": "image_folder", "image": image,
                         "split": FOLDS},
        },
        "models": {
            "theirs_text": {"kind": "text-classifier", **KIND},
            "theirs_image": {"kind": "image-classifier", **KIND},
        },
        "emotion": {
            "selected": ["theirs", "words"],
            "baseline": "words",
            "bootstrap": {"resamples": 100},
            "label_noise": {"folds": 2},
            "runs": {
                "theirs": pretrained("theirs_text", "mine"),
                "words": {"method": "tfidf", "data": "mine", "seeds": [0]},
            },
        },
        "face": {
            "selected": ["theirs"],
            "export": [],
            "bootstrap": {"resamples": 100},
            "runs": {"theirs": pretrained("theirs_image", "pictures", classes=mapping)},
        },
    }  # fmt: skip
    result = project.snakemake(
        directory=directory, overlays=[project.write_overlay("pretrained_folds", overlay)]
    )
    assert result.status == 0, result.output
    return directory / "results"


@pytest.mark.nightly
@pytest.mark.parametrize(("experiment", "n"), [("emotion", 60), ("face", 30)])
def test_each_item_is_predicted_once_and_nothing_is_fitted(results, experiment, n):
    run = results / experiment / "theirs" / "seed0"
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert {row["split"] for row in rows} == {"test"}
    assert len({row["id"] for row in rows}) == len(rows) == n
    record = json.loads((run / "metrics.json").read_text())
    accuracy = accuracy_score([row["label"] for row in rows], [row["prediction"] for row in rows])
    assert record["metrics"]["accuracy"]["value"] == pytest.approx(accuracy, abs=1e-7)
    assert record["calibration"] is None
    assert not {name for name in record["metrics"] if name.endswith("_calibrated")}
    assert {"nll", "ece"} <= set(record["metrics"])
    assert record["other_splits"] == {}
    assert record["details"]["outside"]["splits_left_out"] == ["validation"]


@pytest.mark.nightly
def test_the_page_is_about_the_run_that_was_trained(results):
    page = html.unescape((results / "report" / "index.html").read_text())
    page = " ".join(page.split())
    texts, images = page.split('<p class="finding">')[1:]
    assert texts.startswith("words, the run with the highest validation accuracy, has an")
    assert "each text by a model that was trained without its fold" in texts
    first = images.split("</p>")[0]
    assert first.startswith("theirs, somebody else's model, has an accuracy of ")
    assert " on 30 images" in first
    assert "trained without its fold" not in first
    assert "Whether it was trained on these images is not known." in images
    assert "<b>1</b> trainings" in page
