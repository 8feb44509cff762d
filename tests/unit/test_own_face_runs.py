"""Networks for a user's own face images: heads, inputs, predictions and scores by the data."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from own_images import ENTRY, KINDS, SIDE, converted, drawn, with_table, write_image
from scored_runs import SCHEMAS, scored_run

from affectlab.config.models import Training, typed
from affectlab.config.registries import Registries
from affectlab.errors import DataError
from affectlab.evaluation.predictions import pool
from affectlab.evaluation.records import origin_record, read_record
from affectlab.face import evaluate, predict, train
from affectlab.face.interface import Interface
from affectlab.face.labels import labels_of
from affectlab.face.model import build_network, load_network, predict_images, save_network
from affectlab.face.regressed import trivial_regression
from affectlab.face.scored_data import ScoredData
from affectlab.face.settings import FaceRun, Loss, Network, mistakes
from affectlab.files.io import read_jsonl, write_json
from affectlab.training.outputs import Outputs

RUN = FaceRun(
    method="compact",
    test_time="none",
    network=Network(widths=[4, 8], depths=[1, 1], dropout=0.0),
    loss=Loss(votes_weight=0.0, affect_weight=1.0),
    training=Training(epochs=1, batch_size=16, precision="fp32", ema_decay=None),
)
FOLDS = 3


def with_affect(folder):
    """Images of ten persons, with valence and arousal."""
    return with_table(folder, valence=lambda n: (n % 5) / 4, arousal=lambda n: -(n % 3) / 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A converted data set of three folds, and predictions of a tiny network in each."""
    made = tmp_path_factory.mktemp("own")
    with_affect(made / "raw")
    faces = converted(
        made, ENTRY | {"image": {"size": 32, "color": True}, "split": {"folds": FOLDS}}
    )
    for fold in (*range(FOLDS), None):
        own = made / f"fold{fold}"
        data = {
            "faces_path": made / "faces.npy",
            "metadata_path": made / "metadata.csv",
            "description": faces.description,
            "fold": fold,
        }
        outputs = Outputs(own / "model", own / "history.csv", own / "training.json")
        train.train_network(
            **data, labels_path=None, base_model=None, run=RUN, seed=1, threads=1, outputs=outputs
        )
        if fold is not None:
            predict.predict_corpus(
                **data,
                model_directory=own / "model",
                predictions_path=own / "predictions.jsonl",
                splits=["validation", "test"],
                threads=1,
            )
    pool([made / f"fold{n}" / "predictions.jsonl" for n in range(FOLDS)], made / "all.jsonl")
    return made, faces


def test_a_network_has_the_heads_and_inputs_of_its_data(folder):
    made, _ = folder
    network, config = load_network(made / "foldNone" / "model")
    expected = Interface(tuple(KINDS), ("valence", "arousal"), 32, color=True)
    assert network.interface == Interface.of_config(config) == expected
    assert config["image"] == {"size": 32, "color": True}
    assert "affect_mae" in (made / "fold0" / "history.csv").read_text()
    assert "proxy_mae" not in (made / "fold0" / "history.csv").read_text()


def test_every_image_is_predicted_once_and_scored_as_one_table(folder, tmp_path):
    made, faces = folder
    rows = [row for row in read_jsonl(made / "all.jsonl") if row["split"] == "test"]
    assert sorted(row["id"] for row in rows) == sorted(faces.paths)
    assert list(rows[0]["probabilities"]) == list(KINDS)
    assert {"valence", "arousal"} < rows[0].keys()
    assert "iq_proxy" not in rows[0]
    write_json(
        tmp_path / "training.json", {"seconds": 1.0, "device": "cpu", "steps": 3, **origin_record()}
    )
    write_json(tmp_path / "audit.json", {"overlap": {}})
    data = ScoredData(faces, labels_of(faces, None), made / "metadata.csv")
    evaluate.evaluate(
        scored_run(tmp_path, RUN, training_path=tmp_path / "training.json"),
        predictions_path=made / "all.jsonl",
        data=data,
        data_paths=(made / "faces.npy", made / "metadata.csv"),
        audit_path=tmp_path / "audit.json",
        blur_path=None,
        result_split="test",
        figures=tmp_path / "figures",
    )
    record = read_record(tmp_path / "metrics.json", SCHEMAS / "metrics.schema.json")
    assert record["data"]["split"] == "cross-validation"
    assert record["data"]["n"] == 60
    # Of ten persons, whose images are one group each.
    assert record["data"]["groups"] == 10
    assert record["metrics"]["valence_ccc"]["baseline"]["name"] == "training_mean"
    assert not [name for name in record["metrics"] if "proxy" in name]
    right = np.mean([row["label"] == row["prediction"] for row in rows])
    assert record["metrics"]["accuracy"]["value"] == pytest.approx(right)


def test_the_mean_that_a_fold_is_held_against_leaves_it_out(folder):
    _, faces = folder
    labels = labels_of(faces, None)
    ids = np.array(faces.paths)
    _, found = trivial_regression(ids, labels, faces)["valence_ccc"]
    means = np.empty(len(faces))
    for fold in range(FOLDS):
        held_out = np.isin(faces.folds, [fold, (fold + 1) % FOLDS])
        means[faces.folds == fold] = labels["valence"][~held_out].mean()
    true = labels["valence"]
    covariance = np.mean((means - means.mean()) * (true - true.mean()))
    expected = 2 * covariance / (means.var() + true.var() + (means.mean() - true.mean()) ** 2)
    assert found == pytest.approx(expected, abs=1e-9)


def test_the_predictor_reads_what_its_network_was_trained_on(folder, tmp_path):
    made, _ = folder
    predictor = predict.FacePredictor.from_directory(made / "fold0" / "model", device="cpu")
    assert predictor.classes == tuple(KINDS)
    rows = {row["id"]: row for row in read_jsonl(made / "fold0" / "predictions.jsonl")}
    path = min(rows)
    [reading] = predictor.predict_file(made / "raw" / path)
    assert reading.probabilities == pytest.approx(rows[path]["probabilities"], abs=1e-5)
    assert reading.valence == pytest.approx(rows[path]["valence"], abs=1e-5)
    assert list(reading.to_dict()) == ["label", "probabilities", "valence", "arousal"]
    grey = drawn(1)[1][0].mean(axis=2).astype(np.uint8)
    assert predictor.predict(grey).label in KINDS
    write_image(tmp_path / "grey.png", np.stack([grey] * 3, axis=2))
    assert predictor.predict_file(tmp_path / "grey.png")[0].probabilities == pytest.approx(
        predictor.predict(grey).probabilities
    )


def test_affect_that_a_part_of_the_data_lacks_is_not_learnt(folder):
    _, faces = folder
    affect = np.where((faces.folds == 1)[:, None], np.nan, faces.affect)
    labels = labels_of(dataclasses.replace(faces, affect=affect), None)
    assert set(labels) == {"image_path", "split"}


def test_colours_reach_the_network_in_their_order(tmp_path):
    """A red image and a blue one differ only in the order of the channels."""
    interface = Interface(("red", "blue"), (), 16, color=True)

    class Reddest(torch.nn.Module):
        def forward(self, images):
            assert images.shape[1:] == (3, 16, 16)
            return images.mean(dim=(2, 3))[:, [0, 2]]

    red = np.zeros((20, 30, 3), np.uint8)
    red[..., 0] = 255
    write_image(tmp_path / "red.png", red)
    predictor = predict.FacePredictor(Reddest(), interface, "none", torch.device("cpu"))
    assert predictor.predict_file(tmp_path / "red.png")[0].label == "red"
    assert predictor.predict(red).label == "red"
    assert predictor.predict(red[..., ::-1]).label == "blue"


def test_a_network_of_classes_alone_is_stored_and_read(tmp_path):
    interface = Interface(("yes", "no"), (), SIDE)
    save_network(build_network(RUN, None, interface), RUN, tmp_path / "model")
    network, _ = load_network(tmp_path / "model")
    probabilities, regressed = predict_images(
        network,
        np.zeros((2, SIDE, SIDE), np.uint8),
        interface=interface,
        test_time="ten_crop",
        batch_size=2,
        device=torch.device("cpu"),
    )
    assert probabilities.shape == (2, 2)
    assert regressed.shape == (2, 0)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"classes": ["one"]}, "at least two classes"),
        ({"classes": ["a", "a"]}, "at least two classes"),
        ({"classes": "angry"}, "at least two classes"),
        ({"regressed": ["arousal"]}, "expected the names of valence"),
        ({"image": {"size": "48", "color": False}}, "expected a size of images"),
        ({"image": {"size": 10**9, "color": False}}, "expected a size of images"),
    ],
)
def test_a_stored_interface_that_is_wrong_is_named(tmp_path, change, problem):
    save_network(build_network(RUN, None, Interface()), RUN, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert "image" not in config
    (tmp_path / "model" / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(DataError, match=problem):
        load_network(Path(tmp_path / "model"))


@pytest.mark.parametrize(
    ("entry", "block", "problem"),
    [
        ({"layout": "fer2013", "image": {"size": 96}}, {}, "where image is fixed"),
        ({"layout": "image_folder", "target": "numbers"}, {}, "expected class"),
        (
            {"layout": "image_folder", "split": {"folds": 5}},
            {"result_split": "validation"},
            "face.result_split cannot be validation",
        ),
        ({"layout": "image_folder"}, {"votes": {"mine": None}}, "cannot read"),
        ({"layout": "image_folder", "split": {"folds": 5}}, {}, None),
    ],
)
def test_what_own_data_cannot_have_is_a_mistake(entry, block, problem):
    run = typed(FaceRun, {"data": "mine"}).model_dump()
    block = {"runs": {"mine": run}, "selected": ["mine"], "votes": {}, "export": []} | block
    found = list(mistakes(block, Registries({"mine": entry}, {}, [])))
    if problem is None:
        assert not [mistake for mistake in found if ".data:" in mistake]
    else:
        assert any(problem in mistake for mistake in found), found
