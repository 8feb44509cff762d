"""Networks of the face experiment: sizes, augmentation, targets, training, and the predictor."""

import csv
import io
import json
import os
import re
import shutil
import signal
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from blocks import changed
from example_programs import run_example
from matplotlib import cbook
from predictor_checks import check_predictor
from safetensors.torch import load_file, save_file
from scipy.special import softmax
from sklearn.metrics import accuracy_score, f1_score, log_loss
from statsmodels.stats.proportion import proportion_confint
from torch import nn

from affectlab.cli import main
from affectlab.config.models import Training, given, typed
from affectlab.errors import DataError, UserError
from affectlab.experiments import read_config
from affectlab.face import model, predict, train
from affectlab.face.augment import augment, mix
from affectlab.face.card import TEMPLATES
from affectlab.face.convert import convert
from affectlab.face.data import PUBLISHED, read_faces
from affectlab.face.export import BATCH, export, measure
from affectlab.face.faces import CLASSES
from affectlab.face.indices import EXPRESSIVITY_NAME, QUALITY_NAME, WARNINGS
from affectlab.face.interface import Interface
from affectlab.face.labels import LIMITS, read_labels, shown_values, write_labels
from affectlab.face.photographs import detect_faces, read_image
from affectlab.face.settings import Augmentation, FaceRun, Labels, Loss, Network
from affectlab.files.io import read_json, read_jsonl, write_json
from affectlab.models.onnx_export import torch_inference, write_onnx
from affectlab.report import model_cards
from affectlab.samples import face as samples
from affectlab.samples.models import write_tiny_bert, write_tiny_resnet, write_tiny_vit
from affectlab.training.outputs import Outputs

pytestmark = pytest.mark.usefixtures("edited_models")

PROJECT = Path(__file__).parents[2]
PHOTOGRAPH = cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
COUNTS = {"Training": 84, "PublicTest": 21, "PrivateTest": 21}
STILL = Augmentation()
TRAINING = Training(
    epochs=2,
    batch_size=21,
    learning_rate=0.01,
    warmup_steps=1,
    schedule="cosine",
    max_grad_norm=5.0,
    label_smoothing=0.1,
    precision="fp32",
    checkpoint_minutes=60,
    ema_decay=0.9,
)
RUN = FaceRun(
    method="compact",
    test_time="flip",
    network=Network(widths=[8, 8], depths=[1, 1], dropout=0.1),
    augmentation=Augmentation(shift=0.05, flip=0.5, mixup=0.3, cutmix=0.3),
    loss=Loss(votes_weight=0.3, affect_weight=0.1, proxy_weight=0.05),
    training=TRAINING,
)


TOP_LEFT = {
    "none": [(0, 0)],
    "flip": [(0, 0), (0, 47)],
    "ten_crop": [
        *((0, 0), (0, 4), (4, 0), (4, 4), (2, 2)),
        *((0, 43), (0, 47), (4, 43), (4, 47), (2, 45)),
    ],
}
"""Row and column of the image of 48 x 48 that each view begins with: crops of 44 x 44 in the four
corners and the centre, then their mirror images."""


def make_data(folder, counts=None):
    """A converted corpus with votes and labels."""
    samples.write_corpus(folder / "raw", 0, "csv", counts)
    samples.write_votes(folder / "votes", 0, counts)
    convert(
        raw_directory=folder / "raw",
        votes_directory=folder / "votes",
        faces_path=folder / "faces.npy",
        metadata_path=folder / "metadata.csv",
        quarantine_path=folder / "quarantine.jsonl",
        description_path=folder / "description.json",
        entry={"layout": "fer2013"},
    )
    write_labels(
        faces_path=folder / "faces.npy",
        metadata_path=folder / "metadata.csv",
        labels_path=folder / "labels.csv",
        settings=Labels(),
        threads=1,
    )
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("face"), COUNTS)


def backbone(image_size: int = 64, **values) -> FaceRun:
    """A run with a network of transformers."""
    settings = Network(image_size=image_size, dropout=0.1)
    return FaceRun(method="backbone", network=settings, **values)


def trained(data: Path, folder: Path, base_model: Path | None = None, run: FaceRun = RUN) -> Path:
    train.train_network(
        faces_path=data / "faces.npy",
        metadata_path=data / "metadata.csv",
        labels_path=data / "labels.csv",
        description=PUBLISHED,
        fold=None,
        base_model=base_model,
        run=run,
        seed=3,
        threads=1,
        outputs=Outputs(folder / "model", folder / "history.csv", folder / "training.json"),
    )
    return folder / "model"


@pytest.fixture(scope="module")
def network(data, tmp_path_factory):
    """The directory of a network trained for a moment."""
    return trained(data, tmp_path_factory.mktemp("run"))


def test_the_recipe_of_the_demo_is_clearly_better_than_chance(tmp_path):
    """Of the sample as the demo has it: more classes right than any one answer would have."""
    run = read_config(PROJECT, [PROJECT / "config" / "demo.yaml"])["face"]["runs"]["compact_demo"]
    made = make_data(tmp_path)
    directory = trained(made, tmp_path, run=typed(FaceRun, run))
    faces = read_faces(made / "faces.npy", made / "metadata.csv")
    rows = faces.rows_of("test")
    readings = predict.FacePredictor.from_directory(directory).predict(faces.images[rows])
    right = np.array([r.label for r in readings]) == faces.emotions[rows]
    _, counts = np.unique(faces.emotions[rows], return_counts=True)
    lowest = proportion_confint(right.sum(), len(right), 0.01, method="wilson")[0]
    assert lowest > 2 * counts.max() / len(rows)


@pytest.mark.parametrize(("run", "budget"), [("compact", 150e6), ("swift", 25e6)])
def test_the_networks_of_the_config_keep_to_their_budgets(run, budget):
    configured = read_config(PROJECT)["face"]["runs"][run]
    made = model.build_network(typed(FaceRun, configured), None, Interface())
    assert sum(p.numel() for p in made.parameters()) <= 1_500_000
    multiplications = 0

    def count(module, _inputs, output):
        nonlocal multiplications
        multiplications += output[0].numel() * module.weight[0].numel()

    for module in made.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.inference_mode():
        made.eval()(torch.zeros(1, 1, 48, 48))
    assert multiplications <= budget


def test_standing_still_changes_nothing():
    images = torch.rand(4, 1, 48, 48)
    assert torch.allclose(augment(images, STILL), images, atol=1e-5)
    targets = torch.rand(4, 11)
    same, wanted = mix(images, targets, STILL)
    assert same is images
    assert wanted is targets


def test_a_mirror_image_and_a_shift_are_what_they_say():
    images = torch.rand(3, 1, 48, 48)
    mirrored = augment(images, Augmentation(flip=1.0))
    assert torch.allclose(mirrored, images.flip(3), atol=1e-5)
    ramp = torch.linspace(0, 1, 48).expand(64, 1, 48, 48)
    torch.manual_seed(0)
    shifted = augment(ramp, Augmentation(shift=0.1))
    # Away from the border a ramp rises by the shift, which is at most a tenth of the side.
    change = (shifted - ramp)[:, 0, 10:-10, 10:-10] * 47
    assert change.abs().max() <= 4.8 + 1e-3
    assert change.flatten(1).std(dim=1).max() < 1e-3
    assert change[:, 0, 0].std() > 1


def second_moments(images):
    """Mean squared distances from the centre of brightness: down, across, and of both together."""
    places = torch.arange(48.0)
    shares = images[:, 0] / images.sum(dim=(1, 2, 3))[:, None, None]
    down = places - (shares.sum(dim=2) @ places)[:, None]
    across = places - (shares.sum(dim=1) @ places)[:, None]
    return (
        (shares.sum(dim=2) * down**2).sum(dim=1),
        (shares.sum(dim=1) * across**2).sum(dim=1),
        torch.einsum("brc,br,bc->b", shares, down, across),
    )


def test_a_bar_is_turned_by_at_most_the_rotation():
    bar = torch.zeros(200, 1, 48, 48)
    bar[:, :, 22:26, 8:40] = 1
    torch.manual_seed(0)
    down, across, both = second_moments(augment(bar, Augmentation(rotation=10.0)))
    angles = torch.rad2deg(torch.atan2(2 * both, across - down) / 2)
    assert angles.abs().max() < 10.2
    assert angles.min() < -9
    assert angles.max() > 9


def test_a_square_grows_and_shrinks_by_at_most_the_scale():
    square = torch.zeros(200, 1, 48, 48)
    square[:, :, 14:34, 14:34] = 1
    torch.manual_seed(0)
    changed = augment(square, Augmentation(scale=0.2))
    # Its area, and its extent down and across, tell of the same change of size.
    grown = (changed.sum(dim=(1, 2, 3)) / 400).log() / 2
    assert grown.abs().max() < 0.21
    assert grown.min() < -0.18
    assert grown.max() > 0.18
    for old, new in zip(second_moments(square)[:2], second_moments(changed)[:2], strict=True):
        assert torch.allclose((new / old).log() / 2, grown, atol=0.02)


def test_light_changes_contrast_and_brightness_within_its_reach():
    torch.manual_seed(0)
    images = 0.3 + 0.4 * torch.rand(200, 1, 48, 48)
    changed = augment(images, Augmentation(light=0.2))
    brighter = (changed - images).mean(dim=(1, 2, 3))
    contrast = (changed.std(dim=(1, 2, 3)) / images.std(dim=(1, 2, 3))).log()
    for change, reach in ((brighter, 0.1), (contrast, 0.2)):
        assert change.abs().max() < reach + 1e-3
        assert change.min() < -0.9 * reach
        assert change.max() > 0.9 * reach
    extreme = augment(images.round(), Augmentation(light=1.0))
    assert (extreme.min(), extreme.max()) == (0, 1)


def test_erasing_covers_part_of_the_chosen_images():
    torch.manual_seed(0)
    images = torch.rand(200, 1, 48, 48)
    changed = (augment(images, Augmentation(erasing=0.5)) - images).abs() > 1e-4
    shares = changed.float().mean(dim=(1, 2, 3))
    assert 0.35 < (shares > 0).float().mean() < 0.65
    assert shares.max() <= 0.3


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixing_blends_targets_as_it_blends_images(kind):
    torch.manual_seed(1)
    # Image k is k everywhere and its target is k: the blend's mean is its target.
    levels = torch.arange(6.0)
    images = levels.view(6, 1, 1, 1).expand(6, 1, 48, 48)
    blended, wanted = mix(images, levels[:, None], Augmentation(**{kind: 1.0}))
    assert torch.allclose(blended.mean(dim=(1, 2, 3)), wanted[:, 0], atol=1e-4)
    assert not torch.equal(blended, images)


def test_an_unknown_target_stays_unknown_and_costs_nothing():
    loss = train.loss_function(Loss(affect_weight=1.0, proxy_weight=1.0), Interface())
    answers = nn.Parameter(torch.zeros(2, 11))
    targets = torch.zeros(2, 11)
    targets[:, 0] = 1
    targets[0, 7:] = torch.tensor([0.5, torch.nan, 1.0, torch.nan])
    targets[1, 7:] = torch.nan
    value = loss(lambda _: answers, {"images": None, "targets": targets})
    assert value.item() == pytest.approx(2 * np.log(7) + 0.25 + 1.0)
    value.backward()
    assert torch.isfinite(answers.grad).all()
    assert answers.grad[1, 7:].abs().max() == 0


def test_a_batch_is_of_its_images_with_their_smoothed_targets():
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 48), dtype=np.uint8)
    targets = np.zeros((5, 11), dtype=np.float32)
    targets[np.arange(5), np.arange(5)] = 1
    targets[:, 7:] = [0.5, np.nan, 1.0, -2.0]
    batch = train.collator(images, targets, STILL, label_smoothing=0.1, classes=7)(np.array([3, 0]))
    assert np.allclose(batch["images"][:, 0], images[[3, 0]] / 255, atol=1e-5)
    expected = targets[[3, 0]]
    expected[:, :7] = 0.1 / 7
    expected[[0, 1], [3, 0]] = 0.9 + 0.1 / 7
    np.testing.assert_allclose(batch["targets"], expected, rtol=1e-5)


def test_targets_follow_label_and_votes(data):
    faces = read_faces(data / "faces.npy", data / "metadata.csv")
    labels = read_labels(data / "labels.csv")
    plain = train.target_table(faces, labels, Loss(votes_weight=0.0), "labels.csv")
    assert np.array_equal(plain[:, :7].argmax(axis=1), faces.class_ids(np.arange(len(faces))))
    mixed = train.target_table(faces, labels, Loss(votes_weight=0.4), "labels.csv")
    assert np.allclose(mixed[:, :7].sum(axis=1), 1)
    assert (mixed[:, :7].max(axis=1) >= 0.6 - 1e-6).all()
    assert np.allclose(mixed[:, 9], labels["iq_proxy"], atol=1e-6)
    other = labels | {"image_path": labels["image_path"][::-1]}
    with pytest.raises(DataError, match="not those of the corpus"):
        train.target_table(faces, other, Loss(votes_weight=0.0), "labels.csv")


def test_views_at_test_time():
    images = torch.rand(2, 1, 48, 48)
    assert [tuple(v.shape[2:]) for v in model.views(images, "ten_crop")] == [(44, 44)] * 10
    numbered = torch.arange(48 * 48).view(1, 1, 48, 48)
    for test_time, places in TOP_LEFT.items():
        first = [divmod(int(view[0, 0, 0, 0]), 48) for view in model.views(numbered, test_time)]
        assert first == places
    first, second = model.views(images, "flip")
    assert torch.equal(first, images)
    assert torch.equal(second, images.flip(3))
    with pytest.raises(ValueError, match="none, flip or ten_crop"):
        model.views(images, "five_crop")


@pytest.mark.parametrize("test_time", TOP_LEFT)
def test_the_answer_is_the_mean_over_the_views(test_time):
    """Of a network that sees one pixel of each, and whose other outputs are 0."""

    def first_pixel(view):
        answers = torch.zeros(len(view), 11)
        answers[:, 0] = answers[:, 7] = view[:, 0, 0, 0]
        return answers

    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48), dtype=np.uint8)
    probabilities, regressed = model.predict_images(
        first_pixel,
        images,
        interface=Interface(),
        test_time=test_time,
        batch_size=2,
        device=torch.device("cpu"),
    )
    for image, shares, values in zip(images, probabilities, regressed, strict=True):
        seen = np.array([image[place] / 255 for place in TOP_LEFT[test_time]])
        assert values[0] == pytest.approx(seen.mean(), rel=1e-5)
        assert shares[0] == pytest.approx((np.exp(seen) / (np.exp(seen) + 6)).mean(), rel=1e-5)


def test_a_trained_network_is_stored_with_its_curve(network):
    facts = read_json(network.parent / "training.json")
    assert facts["steps"] == 2 * 84 // 21
    assert facts["images"] == 84
    rows = (network.parent / "history.csv").read_text().splitlines()
    assert "macro_f1" in rows[0]
    assert len(rows) == 1 + 2 * 2
    assert not (network.parent / "work" / "checkpoints").exists()


def test_the_weights_are_those_of_the_best_update_on_the_validation_split(data, network):
    """What the stored weights score there is worked out anew."""
    with (network.parent / "history.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == "validation"]
    best = max(rows, key=lambda row: (float(row["accuracy"]), -float(row["loss"])))
    assert int(best["step"]) == read_json(network.parent / "training.json")["best_step"]
    faces = read_faces(data / "faces.npy", data / "metadata.csv")
    members = faces.rows_of("validation")
    truth = [CLASSES.index(name) for name in faces.emotions[members]]
    loaded, _ = model.load_network(network)
    with torch.inference_mode():
        answers = loaded(torch.from_numpy(faces.images[members])[:, None] / 255).double().numpy()
    probabilities, values = softmax(answers[:, :7], axis=1), answers[:, 7:]
    labels = read_labels(data / "labels.csv")
    wanted = np.stack([labels[name][members] for name in LIMITS], axis=1)
    errors = np.abs(np.clip(values, [-1, -1, -2, -2], [1, 1, 2, 2]) - wanted)
    for name, expected in {
        "loss": log_loss(truth, probabilities, labels=range(7)),
        "accuracy": accuracy_score(truth, probabilities.argmax(axis=1)),
        "macro_f1": f1_score(truth, probabilities.argmax(axis=1), average="macro"),
        "affect_mae": errors[:, :2].mean(),
        "proxy_mae": errors[:, 2:].mean(),
    }.items():
        assert float(best[name]) == pytest.approx(expected, rel=1e-4), name


def test_equal_runs_end_in_equal_bytes(data, network, tmp_path):
    again = trained(data, tmp_path)
    for name in (model.CONFIG_NAME, model.WEIGHTS_NAME):
        assert (again / name).read_bytes() == (network / name).read_bytes()


def test_a_run_that_is_stopped_goes_on_to_the_same_bytes(
    data, network, tmp_path, monkeypatch, caplog
):
    whole = train.loss_function

    def stopping(*settings):
        loss, calls = whole(*settings), iter(range(100))

        def loss_sum(module, batch):
            if next(calls) == 5:
                os.kill(os.getpid(), signal.SIGTERM)
            return loss(module, batch)

        return loss_sum

    monkeypatch.setattr(train, "loss_function", stopping)
    with pytest.raises(SystemExit):
        trained(data, tmp_path)
    assert not (tmp_path / "model").exists()
    monkeypatch.undo()
    with caplog.at_level("INFO"):
        again = trained(data, tmp_path)
    assert "resuming from update 6 of 8" in caplog.text
    assert (again / model.WEIGHTS_NAME).read_bytes() == (network / model.WEIGHTS_NAME).read_bytes()


@pytest.mark.parametrize("write", [write_tiny_resnet, write_tiny_vit])
def test_backbones_of_transformers_are_trained_and_read_back(data, tmp_path, write):
    write(tmp_path / "base")
    directory = trained(
        data,
        tmp_path,
        tmp_path / "base",
        changed(
            RUN,
            method="backbone",
            network={"image_size": 64, "dropout": 0.1},
            train_on=["train", "validation", "test"],
            select_on=None,
            training=given(TRAINING) | {"epochs": 1, "ema_decay": None},
        ),
    )
    loaded, config = model.load_network(directory)
    assert config["method"] == "backbone"
    images = samples.draw_faces(np.arange(3), np.random.default_rng(0))
    probabilities, regressed = model.predict_images(
        loaded,
        images,
        interface=Interface(),
        test_time="none",
        batch_size=2,
        device=torch.device("cpu"),
    )
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert regressed.shape == (3, 4)
    assert read_json(tmp_path / "training.json")["images"] == 126


def test_a_checkpoint_that_reads_no_such_images_is_named(tmp_path):
    run = backbone(96)
    write_tiny_vit(tmp_path / "vit")
    with pytest.raises(DataError, match="vit: reads no images of 96 x 96 pixels"):
        model.build_network(run, tmp_path / "vit", Interface())
    write_tiny_bert(tmp_path / "text")
    with pytest.raises(DataError, match="text: reads no images of 96 x 96 pixels"):
        model.build_network(run, tmp_path / "text", Interface())
    weights = tmp_path / "vit" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(DataError, match="vit: no image network can be loaded"):
        model.build_network(run, tmp_path / "vit", Interface())


@pytest.mark.parametrize("write", [write_tiny_resnet, write_tiny_vit])
def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path, write):
    """Those that are missing would be drawn at random, in silence."""
    run = backbone()
    write(tmp_path / "base")
    weights = tmp_path / "base" / "model.safetensors"
    kept = {k: v for k, v in load_file(weights).items() if not k.endswith("batches_tracked")}
    save_file(kept, weights, {"format": "pt"})
    model.build_network(run, tmp_path / "base", Interface())
    name = next(name for name in kept if name.endswith("weight"))
    del kept[name]
    save_file(kept, weights, {"format": "pt"})
    with pytest.raises(DataError, match=f"base: lacks 1 of the network's weights, {name} among"):
        model.build_network(run, tmp_path / "base", Interface())


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [
        ({"depths": [1, 2**31]}, "depths: 2147483648 layers; at most 10000 are read"),
        ({"widths": [20_000, 20_000]}, r"\d+ parameters by its settings, \d+ bytes of weights"),
    ],
)
def test_settings_of_another_size_than_the_weights_are_refused_at_once(
    tmp_path, network, sizes, problem
):
    directory = tmp_path / "model"
    shutil.copytree(network, directory, ignore=shutil.ignore_patterns("SHA256SUMS"))
    config = read_json(directory / "config.json")
    config["network"] |= {"widths": [8, 8], "depths": [1, 1], **sizes}
    write_json(directory / "config.json", config)
    with pytest.raises(UserError, match=problem):
        model.load_network(directory)


def test_a_directory_without_such_a_model_is_named(tmp_path, network):
    with pytest.raises(DataError, match=r"config\.json: no such file"):
        model.load_network(tmp_path)
    (tmp_path / "config.json").write_text((network / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(DataError, match="not a model of the face experiment"):
        model.load_network(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(DataError, match="not a model of the face experiment"):
        model.load_network(tmp_path)
    with pytest.raises(DataError, match=r"config\.json: no such model directory"):
        model.load_network(tmp_path / "config.json")
    forest = json.dumps(read_json(network / "config.json") | {"method": "forest"})
    for content in ("[]", '{"model_type": "bert"}', '{"test_time": "five_crop"}', forest):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(DataError, match="has another method or views"):
            model.load_network(tmp_path)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"widths": [8, 8], "dropout": 0.1}, r"config\.json lacks 'depths'"),
        (
            {"widths": [8, 8], "depths": [1, "one"], "dropout": 0.1},
            r'network\.depths\.1: expected integer, found "one"',
        ),
    ],
)
def test_a_stored_setting_that_is_missing_or_wrong_is_reported(
    tmp_path, network, settings, problem
):
    directory = tmp_path / "model"
    shutil.copytree(network, directory, ignore=shutil.ignore_patterns("SHA256SUMS"))
    config = read_json(directory / "config.json") | {"network": settings}
    write_json(directory / "config.json", config)
    with pytest.raises(DataError, match=f"not a model of the face experiment: {problem}"):
        model.load_network(directory)


def test_predictions_of_a_run_are_those_of_the_predictor(data, network, tmp_path):
    predict.predict_corpus(
        faces_path=data / "faces.npy",
        metadata_path=data / "metadata.csv",
        description=PUBLISHED,
        fold=None,
        model_directory=network,
        predictions_path=tmp_path / "predictions.jsonl",
        splits=["validation", "test"],
        threads=1,
    )
    lines = list(read_jsonl(tmp_path / "predictions.jsonl"))
    assert [line["split"] for line in lines] == ["validation"] * 21 + ["test"] * 21
    faces = read_faces(data / "faces.npy", data / "metadata.csv")
    rows = faces.rows_of("validation", "test")
    readings = predict.FacePredictor.from_directory(network).predict(faces.images[rows])
    for line, reading in zip(lines, readings, strict=True):
        assert line["prediction"] == reading.label
        assert line["probabilities"] == pytest.approx(reading.probabilities, abs=1e-5)
        assert line["valence"] == pytest.approx(reading.valence, abs=1e-5)
        assert line["arousal"] == pytest.approx(reading.arousal, abs=1e-5)
        quality, expressivity = shown_values(line["iq_proxy"], line["eq_proxy"])
        assert reading.indices == pytest.approx(
            {QUALITY_NAME: quality, EXPRESSIVITY_NAME: expressivity}, abs=1e-3
        )


def test_the_indices_are_named_for_what_they_are(network):
    predictor = predict.FacePredictor.from_directory(network, device="cpu")
    image = samples.draw_faces(np.array([3]), np.random.default_rng(0))[0]
    reading = predictor.predict(image)
    shown = reading.to_dict()["indices"]
    assert set(shown) == {
        'capture-quality index (published as "IQ")',
        'expressivity index (published as "EQ")',
    }
    for index in shown.values():
        assert 0 <= index["value"] <= 100
        assert "not a measure of" in index["warning"]
    assert predictor.predict([]) == []


def test_any_size_and_colour_of_face_is_read(network):
    predictor = predict.FacePredictor.from_directory(network)
    grey = samples.draw_faces(np.array([3]), np.random.default_rng(0))[0]
    colour = np.repeat(cv2.resize(grey, (96, 96))[..., None], 3, axis=2)
    assert [reading.label for reading in predictor.predict([grey, colour])]
    assert predictor.predict(colour).label in CLASSES
    for bad in (grey.astype(float), np.zeros((48, 48, 2), np.uint8), np.zeros(48, np.uint8)):
        with pytest.raises(UserError, match=r"expected (a uint8 image|1 or 3 channels)"):
            predictor.predict([bad])


def test_one_image_with_a_channel_is_one_face_and_a_batch_of_them_is_several(network):
    predictor = predict.FacePredictor.from_directory(network)
    faces = samples.draw_faces(np.arange(4), np.random.default_rng(0))
    plain = predictor.predict(faces)
    assert predictor.predict(faces[..., None]) == plain
    assert predictor.predict(faces[0][..., None]) == plain[0]
    with pytest.raises(UserError, match="1 or 3 channels, found 4"):
        predictor.predict(np.zeros((48, 48, 4), np.uint8))
    with pytest.raises(UserError, match=r"found uint8 \[2304\]"):
        predictor.predict(faces[0].ravel())


def test_misuse_of_the_predictor_is_told(network):
    predictor = predict.FacePredictor.from_directory(network)
    image = samples.draw_faces(np.arange(1), np.random.default_rng(0))
    for path in ("portrait.jpg", Path("portrait.jpg")):
        with pytest.raises(TypeError, match="predict_file and predict_folder read files"):
            predictor.predict(path)
    for size in (0, -1):
        with pytest.raises(ValueError, match="batch_size must be at least 1"):
            predictor.predict(image, batch_size=size)


def huge_png() -> bytes:
    """A PNG of 16 kB that says it is 3.6 gigapixels large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4)
        return len(data).to_bytes(4) + kind + data + check

    header = (60_000).to_bytes(4) * 2 + bytes([8, 0, 0, 0, 0])
    rows = zlib.compress(bytes(100))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    )


def test_a_bad_picture_is_named_by_the_command(network, tmp_path, capsys):
    picture = samples.draw_faces(np.array([3]), np.random.default_rng(0))[0]
    data = cv2.imencode(".jpg", cv2.resize(picture, (300, 300)))[1].tobytes()
    bad = {
        "cut.jpg": (data[: len(data) * 2 // 3], "expected a whole image file"),
        "empty.png": (b"", "an empty file"),
        "page.jpg": (b"<html>", "a web page saved under"),
        "huge.png": (huge_png(), "expected at most 100,000,000 pixels"),
    }
    for name, (content, message) in bad.items():
        (tmp_path / name).write_bytes(content)
        assert main(["predict", "face", "--model", str(network), str(tmp_path / name)]) == 1
        assert f"{name}: {message}" in capsys.readouterr().err


def test_hidden_files_and_folders_are_passed_over_and_links_are_not(network, tmp_path):
    picture = samples.draw_faces(np.array([3]), np.random.default_rng(0))[0]
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    (tmp_path / "._a.png").write_bytes(b"what macOS leaves beside a file")
    predictor = predict.FacePredictor.from_directory(network)
    (tmp_path / ".thumbnails").mkdir()
    shutil.copy(tmp_path / "a.png", tmp_path / ".thumbnails" / "b.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / ".thumbnails")
    predicted = [path for path, _ in predictor.predict_folder(tmp_path)]
    assert predicted == [tmp_path / "a.png", tmp_path / "linked" / "b.png"]
    assert len(list(predictor.predict_folder(tmp_path / ".thumbnails"))) == 1
    with pytest.raises(UserError, match="nowhere: no such folder"):
        list(predictor.predict_folder(tmp_path / "nowhere"))


def test_the_command_reads_files_and_folders(network, tmp_path, capsys):
    image = samples.draw_faces(np.array([3]), np.random.default_rng(0))[0]
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures" / "a.png"), image)
    cv2.imwrite(str(tmp_path / "b.png"), image)
    command = ["predict", "face", "--model", str(network)]
    assert main([*command, str(tmp_path / "pictures"), str(tmp_path / "b.png")]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["faces"] == second["faces"]
    assert first["faces"][0]["label"] in CLASSES
    assert main([*command, str(tmp_path / "c.png")]) == 1
    assert "c.png: no such file" in capsys.readouterr().err


def exported(data, directory: Path, folder: Path) -> dict:
    export(
        model_directory=directory,
        faces_path=data / "faces.npy",
        metadata_path=data / "metadata.csv",
        description=PUBLISHED,
        split="test",
        threads=1,
        onnx_path=folder / "model.onnx",
        int8_path=folder / "model.int8.onnx",
        summary_path=folder / "export.json",
    )
    return read_json(folder / "export.json")


def test_exports_give_the_same_answers_and_serve_the_predictor(data, network, tmp_path, capsys):
    summary = exported(data, network, tmp_path)
    assert (summary["reference"], summary["split"], summary["n"]) == ("pytorch", "test", 21)
    formats = summary["formats"]
    assert list(formats) == ["onnx", "onnx_int8", "pytorch"]
    for views in ("one_view", "flip"):
        assert formats["onnx"][views]["accuracy"] == formats["pytorch"][views]["accuracy"]
        speed = formats["onnx_int8"][views]["ms_per_face"]
        assert set(speed) == {"median", "p95", f"batch_of_{BATCH}"}
        assert min(speed.values()) > 0
    assert formats["onnx"]["max_probability_difference"] < 1e-4
    assert 0 < formats["onnx_int8"]["max_probability_difference"] < 0.2
    images = read_faces(data / "faces.npy", data / "metadata.csv").images[:5]
    plain = predict.FacePredictor.from_directory(network, device="cpu")
    fast = predict.FacePredictor.from_directory(network, onnx=tmp_path / "model.onnx", threads=1)
    for one, other in zip(plain.predict(images), fast.predict(images), strict=True):
        assert one.label == other.label
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
    with pytest.raises(UserError, match="runs on the CPU, not on cuda"):
        predict.FacePredictor.from_directory(network, onnx=tmp_path / "model.onnx", device="cuda")
    cv2.imwrite(str(tmp_path / "face.png"), images[0])
    command = ["predict", "face", "--model", str(network), "--onnx"]
    assert main([*command, str(tmp_path / "model.int8.onnx"), str(tmp_path / "face.png")]) == 0
    answer = json.loads(capsys.readouterr().out)["faces"][0]["probabilities"]
    assert answer == pytest.approx(plain.predict(images[0]).probabilities, abs=0.2)
    assert main([*command, str(tmp_path / "face.png"), str(tmp_path / "face.png")]) == 2
    assert "face.png: no ONNX network" in capsys.readouterr().err
    write_onnx(
        nn.Linear(4, 3).eval(),
        {"x": torch.rand(2, 4)},
        tmp_path / "other.onnx",
        dynamic=(0,),
        output="y",
        check=[torch.rand(3, 4)],
    )
    assert main([*command, str(tmp_path / "other.onnx"), str(tmp_path / "face.png")]) == 2
    assert "other.onnx: not an export of the face experiment" in capsys.readouterr().err


def test_a_backbone_is_exported_with_its_enlarging(data, tmp_path):
    write_tiny_resnet(tmp_path / "base")
    run = backbone(test_time="ten_crop")
    made = model.build_network(run, tmp_path / "base", Interface())
    model.save_network(made, run, tmp_path / "model")
    formats = exported(data, tmp_path / "model", tmp_path)["formats"]
    assert formats["onnx"]["max_probability_difference"] < 1e-4
    assert set(formats["onnx"]) == {
        *("one_view", "ten_crop", "bytes", "max_probability_difference")
    }


def test_one_view_is_measured_once(network):
    loaded, _ = model.load_network(network)
    images = samples.draw_faces(np.arange(7), np.random.default_rng(0))
    found, probabilities = measure(
        torch_inference(loaded), images, np.arange(7), Interface(), "none"
    )
    assert list(found) == ["one_view"]
    assert found["one_view"]["accuracy"] == (probabilities.argmax(axis=1) == np.arange(7)).mean()


def test_each_face_of_a_photograph_is_read_where_it_was_found(
    network, tmp_path, monkeypatch, capsys
):
    """Boxes are left, top, width and height; none of them square, so that no two may be swapped."""
    photograph = np.random.default_rng(0).integers(0, 256, (120, 200), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "group.png"), photograph)
    boxes = [(10, 20, 48, 30), (100, 5, 60, 90)]
    monkeypatch.setattr(predict, "detect_faces", lambda image: boxes)
    predictor = predict.FacePredictor.from_directory(network, device="cpu")
    found = predictor.predict_file(tmp_path / "group.png", detect=True)
    alone = predictor.predict([photograph[20:50, 10:58], photograph[5:95, 100:160]])
    assert [reading.box for reading in found] == boxes
    for one, other in zip(found, alone, strict=True):
        assert one.to_dict() == {**other.to_dict(), "box": list(one.box)}
    command = ["predict", "face", "--model", str(network), "--device", "cpu", "--detect"]
    assert main([*command, str(tmp_path / "group.png")]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [face["box"] for line in lines for face in line["faces"]] == [list(b) for b in boxes]


@pytest.mark.parametrize(
    ("write", "scale"), [(write_tiny_resnet, (0.449, 0.226)), (write_tiny_vit, (0.5, 0.5))]
)
def test_a_backbone_gets_its_grey_levels_as_in_its_pretraining(tmp_path, write, scale):
    write(tmp_path / "base")
    run = backbone()
    made = model.build_network(run, tmp_path / "base", Interface())
    assert made.scale == pytest.approx(scale, abs=1e-3)
    model.save_network(made, run, tmp_path / "model")
    assert model.load_network(tmp_path / "model")[0].scale == made.scale
    (tmp_path / "base" / "preprocessor_config.json").write_text("{}")
    with pytest.raises(DataError, match=r"preprocessor_config\.json: expected the numbers image_m"):
        model.build_network(run, tmp_path / "base", Interface())


def test_the_faces_of_a_photograph_are_found_from_left_to_right():
    """In a portrait of Grace Hopper, in the public domain, that comes with matplotlib."""
    image = read_image(PHOTOGRAPH)
    for picture in (image, np.hstack([image, image])):
        boxes = detect_faces(picture)
        centres = [(left + width / 2, top + height / 2) for left, top, width, height in boxes]
        expected = [(267 + left, 216) for left in range(0, picture.shape[1], image.shape[1])]
        np.testing.assert_allclose(centres, expected, atol=20)
        assert all(180 < side < 270 for box in boxes for side in box[2:])


def test_the_example_reads_the_faces_of_pictures(network, tmp_path):
    shutil.copytree(network, tmp_path / "model")
    program = model_cards.render(TEMPLATES / "inference.py.j2", run="compact", has_indices=True)
    (tmp_path / "inference_example.py").write_text(program)
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((120, 120), 90, np.uint8))
    face, *shown, none = run_example(tmp_path, PHOTOGRAPH, "grey.png")
    predictor = predict.FacePredictor.from_directory(network)
    (reading,) = predictor.predict_file(PHOTOGRAPH, detect=True)
    path, label, probability = face.split("\t")
    assert (path, label) == (PHOTOGRAPH, reading.label)
    assert float(probability) == pytest.approx(reading.probabilities[label], abs=2e-3)
    for line, (name, value) in zip(shown, reading.indices.items(), strict=True):
        told, number, warning = re.fullmatch(r"\t(.+): ([\d.]+) \((.+)\)", line).groups()
        assert (told, warning) == (name, WARNINGS[name])
        assert float(number) == pytest.approx(value, abs=0.1)
    assert none == "grey.png\tno frontal face found"


def test_a_picture_too_large_for_the_detector_is_refused(network, tmp_path, monkeypatch):
    """OpenCV's detector ends the process on 18000 x 18000 pixels."""
    assert predict.MOST_PIXELS < 18_000**2
    monkeypatch.setattr(predict, "MOST_PIXELS", 120 * 100)
    cv2.imwrite(str(tmp_path / "fits.png"), np.full((120, 100), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "large.png"), np.full((121, 100), 90, np.uint8))
    predictor = predict.FacePredictor.from_directory(network)
    assert predictor.predict_file(tmp_path / "fits.png", detect=True) == []
    assert len(predictor.predict_file(tmp_path / "large.png")) == 1
    with pytest.raises(DataError, match=r"large\.png: 100 x 121 pixels; .* at most 12,000"):
        predictor.predict_file(tmp_path / "large.png", detect=True)


def test_a_picture_without_a_face_has_none(network, tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((120, 120), 90, np.uint8))
    predictor = predict.FacePredictor.from_directory(network)
    assert predictor.predict_file(tmp_path / "grey.png", detect=True) == []
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images"):
        list(predictor.predict_folder(tmp_path / "empty"))


def test_it_is_a_predictor_like_the_others(network):
    faces = samples.draw_faces(np.arange(3), np.random.default_rng(0))
    check_predictor(predict.FacePredictor, network, list(faces))
    check_predictor(predict.FacePredictor, network, faces)


def test_an_export_has_its_own_precision(network, tmp_path):
    with pytest.raises(UserError, match="has its own precision, not bf16"):
        predict.FacePredictor.from_directory(
            network, onnx=tmp_path / "model.onnx", precision="bf16"
        )


def test_paths_of_a_list_and_readings_in_a_table(network, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    faces = samples.draw_faces(np.arange(2), np.random.default_rng(0))
    names = ["a.png", os.fsdecode(b"tr\xe8s.png")]
    for name, face in zip(names, faces, strict=True):
        Path(name).write_bytes(cv2.imencode(".png", face)[1].tobytes())
    Path("list.txt").write_bytes(b"a.png\nabsent.png\n" + os.fsencode(names[1]) + b"\n")
    command = ["predict", "face", "--model", str(network), "--device", "cpu"]
    assert main([*command, "--file", "list.txt", "--format", "csv", "--output", "out.csv"]) == 1
    assert "affectlab: absent.png: no such file" in capsys.readouterr().err
    text = Path("out.csv").read_text(encoding="utf-8", errors="surrogateescape")
    first, absent, odd = csv.DictReader(io.StringIO(text))
    assert [row["file"] for row in (first, absent, odd)] == ["a.png", "absent.png", names[1]]
    assert first["label"] in CLASSES
    assert (absent["error"], absent["label"]) == ("no such file", "")
    shares = [float(first[f"probabilities.{name}"]) for name in CLASSES]
    assert sum(shares) == pytest.approx(1.0, abs=1e-4)
