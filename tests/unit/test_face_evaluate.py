"""Scores of the face experiment against scikit-learn; blur test, card and settings."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from blocks import changed
from page_words import raw_keys
from scored_runs import BOOTSTRAP, scored_run
from sklearn import metrics
from torch import nn

from affectlab.config.models import typed
from affectlab.config.registries import load_registries
from affectlab.errors import DataError, UserError
from affectlab.evaluation import stats
from affectlab.evaluation.records import origin_record, read_record
from affectlab.experiments import validate_config
from affectlab.face import blur, evaluate, labels, settings
from affectlab.face.card import card
from affectlab.face.convert import convert
from affectlab.face.data import read_faces
from affectlab.face.faces import CLASSES
from affectlab.face.indices import WARNINGS
from affectlab.face.labels import LIMITS
from affectlab.face.regressed import read_regressed
from affectlab.face.report import section
from affectlab.face.scored_data import ScoredData
from affectlab.face.settings import Block, BlurTest, FaceRun, Labels
from affectlab.files.io import read_json, read_jsonl, write_json, write_jsonl
from affectlab.report.model_cards import TrainingData
from affectlab.samples import face as samples

PROJECT = Path(__file__).parents[2]
SCHEMAS = PROJECT / "workflow" / "schemas"
COUNTS = {"Training": 60, "PublicTest": 30, "PrivateTest": 60}
RECIPE = {
    "protocol": "corrected",
    "method": "compact",
    "data": "face_sample",
    "train_on": ["train"],
    "select_on": "validation",
    "test_time": "flip",
    "network": {"widths": [8], "depths": [1], "dropout": 0.0},
    "training": {"epochs": 1, "batch_size": 8},
}
RUN = typed(FaceRun, RECIPE | {"seeds": [1]})
LABELS = Labels()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    samples.write_corpus(folder / "raw", 0, "csv", COUNTS)
    paths = {"faces_path": folder / "faces.npy", "metadata_path": folder / "metadata.csv"}
    convert(
        raw_directory=folder / "raw",
        votes_directory=None,
        quarantine_path=folder / "quarantine.jsonl",
        description_path=folder / "description.json",
        entry={"layout": "fer2013"},
        **paths,
    )
    labels.write_labels(**paths, labels_path=folder / "labels.csv", settings=LABELS, threads=1)
    return folder


def write_predictions(data, path, *, skill=0.7, seed=0):
    """Predictions right for about *skill* of the images; regressed values near their labels."""
    generator = np.random.default_rng(seed)
    faces = read_faces(data / "faces.npy", data / "metadata.csv")
    true = labels.read_labels(data / "labels.csv")
    lines = []
    for row in faces.rows_of("validation", "test"):
        logits = generator.normal(size=7)
        right = CLASSES.index(faces.emotions[row])
        logits[right if generator.random() < skill else generator.integers(7)] += 4
        shares = np.exp(logits) / np.exp(logits).sum()
        lines.append(
            {
                "id": faces.paths[row],
                "split": str(faces.splits[row]),
                "label": str(faces.emotions[row]),
                "prediction": CLASSES[int(shares.argmax())],
                "probabilities": dict(zip(CLASSES, shares.tolist(), strict=True)),
                **{
                    name: float(np.clip(true[name][row] + generator.normal(0, 0.1), -limit, limit))
                    for name, limit in LIMITS.items()
                },
            }
        )
    write_jsonl(path, lines)
    return lines


class Brightness(nn.Module):
    """Answers with the sharpness of the picture as "IQ", and with the first class."""

    def forward(self, images):
        answers = torch.zeros(len(images), 11)
        answers[:, 0] = 1
        answers[:, 9] = 20 * images.diff(dim=-1).abs().mean(dim=(1, 2, 3))
        return answers


class Constant(nn.Module):
    """Answers the same whatever it is shown."""

    def forward(self, images):
        return torch.zeros(len(images), 11)


def blur_curves(data, network=None):
    faces = read_faces(data / "faces.npy", data / "metadata.csv")
    shown = faces.take(faces.rows_of("test"))
    return blur.blur_test(network or Brightness(), shown, LABELS, "none", 1)


def scored_data(data):
    """A converted corpus with its labels."""
    faces = read_faces(data / "faces.npy", data / "metadata.csv")
    return ScoredData(faces, labels.labels_of(faces, data / "labels.csv"), data / "metadata.csv")


def score(data, folder, out, recipe, split, faces=None):
    """Score what *folder* holds of a run; its record, which lies in *out*."""
    evaluate.evaluate(
        scored_run(out, recipe, training_path=folder / "training.json"),
        predictions_path=folder / "predictions.jsonl",
        data=scored_data(data),
        data_paths=(faces or data / "faces.npy", data / "metadata.csv"),
        audit_path=folder.parents[1] / "data" / "face_sample" / "audit.json",
        blur_path=folder / "blur.json",
        result_split=split,
        figures=out / "figures",
    )
    return read_json(out / "metrics.json")


@pytest.fixture(scope="module")
def evaluated(data, tmp_path_factory):
    """The folder of a scored run, as the workflow lays it out."""
    root = tmp_path_factory.mktemp("results") / "face"
    folder = root / "made" / "seed1"
    folder.mkdir(parents=True)
    write_predictions(data, folder / "predictions.jsonl")
    faces = read_faces(data / "faces.npy", data / "metadata.csv")
    from affectlab.face.audit import audit

    (root / "data" / "face_sample").mkdir(parents=True)
    write_json(
        root / "data" / "face_sample" / "audit.json",
        audit(faces, [], ["train", "validation", "test"], {}),
    )
    from affectlab.face.label_check import write_check

    write_check(
        labels_path=data / "labels.csv",
        faces_path=data / "faces.npy",
        metadata_path=data / "metadata.csv",
        check_path=root / "data" / "face_sample" / "label_check.json",
        figure=root / "data" / "face_sample" / "labels",
        settings=LABELS,
        threads=1,
    )
    write_json(
        folder / "training.json",
        {"seconds": 1.0, "device": "cpu", "steps": 3, **origin_record()},
    )
    write_json(folder / "blur.json", {"split": "test", "images": 60, **blur_curves(data)})
    score(data, folder, folder, RUN, "test")
    evaluate.compare(
        metrics_paths=[folder / "metrics.json"],
        predictions_paths=[folder / "predictions.jsonl"],
        data={"face_sample": scored_data(data)},
        result_split="test",
        bootstrap=BOOTSTRAP,
        schema=SCHEMAS / "comparison.schema.json",
        output_path=root / "comparison.json",
    )
    return folder


def test_scores_are_those_of_scikit_learn(data, evaluated):
    record = read_record(evaluated / "metrics.json", SCHEMAS / "metrics.schema.json")
    lines = [
        line
        for line in write_predictions(data, evaluated.parent / "again.jsonl")
        if line["split"] == "test"
    ]
    true, found = ([line[key] for line in lines] for key in ("label", "prediction"))
    assert record["metrics"]["accuracy"]["value"] == pytest.approx(
        metrics.accuracy_score(true, found)
    )
    assert record["metrics"]["macro_f1"]["value"] == pytest.approx(
        metrics.f1_score(true, found, average="macro"), rel=1e-6
    )
    assert record["confusion_matrix"] == (
        metrics.confusion_matrix(true, found, labels=CLASSES).tolist()
    )
    labelled = labels.read_labels(data / "labels.csv")
    place = {path: row for row, path in enumerate(labelled["image_path"])}
    rows = [place[line["id"]] for line in lines]
    for name in labels.PROXIES:
        truth, guess = labelled[name][rows], np.array([line[name] for line in lines])
        block = record["metrics"]
        assert block[f"{name}_mae"]["value"] == pytest.approx(
            metrics.mean_absolute_error(truth, guess), rel=1e-6
        )
        assert block[f"{name}_r2"]["value"] == pytest.approx(
            metrics.r2_score(truth, guess), rel=1e-6
        )
        mean = np.full(len(truth), labelled[name][labelled["split"] == "train"].mean())
        assert block[f"{name}_mae"]["baseline"] == {
            "name": "training_mean",
            "value": pytest.approx(metrics.mean_absolute_error(truth, mean), rel=1e-6),
        }
    # What is regressed is in the comparison, the table and the warnings like any other score.
    compared = read_json(evaluated.parents[1] / "comparison.json")["runs"][0]["metrics"]
    for name in ("valence_ccc", "iq_proxy_r2", "eq_proxy_mae"):
        one = record["metrics"][name]
        assert compared[name]["mean"] == pytest.approx(one["value"])
        assert compared[name]["ci"] == pytest.approx(one["ci"])
        assert compared[name]["baseline"] == one["baseline"]
        assert compared[name]["below_baseline"] == one["below_baseline"]
    assert record["other_splits"]["test_without_overlap"]["n"] == 60 - samples.TWINS
    assert record["details"]["seen_in_training"] is False
    assert sum(record["details"]["output_histograms"]["iq_proxy"]["counts"]) <= 60


def test_twins_in_every_split_that_was_trained_on_are_left_out(tmp_path):
    overlap = {"test_in_train": ["a", "b"], "validation_in_train": ["c"]}
    overlap |= {"test_in_validation": ["b", "d"], "validation_in_test": ["e"]}
    write_json(tmp_path / "audit.json", {"overlap": overlap})
    for split, trained_on, expected in (
        ("test", ["train"], {"a", "b"}),
        ("test", ["train", "validation"], {"a", "b", "d"}),
        ("test", ["train", "validation", "test"], {"a", "b", "d"}),
        ("validation", ["train", "test"], {"c", "e"}),
    ):
        found = evaluate.overlapping_images(tmp_path / "audit.json", split, trained_on)
        assert found == expected
    write_json(tmp_path / "audit.json", {"overlap": {"test_in_train": []}})
    with pytest.raises(DataError, match=r"expected the list overlap\.test_in_validation"):
        evaluate.overlapping_images(tmp_path / "audit.json", "test", ["train", "validation"])


def test_concordance_by_definition():
    generator = np.random.default_rng(0)
    true = generator.normal(size=300)
    found = 0.5 * true + generator.normal(0, 0.3, 300) + 0.2
    sums = stats.pair_columns(found, true).sum(axis=0)
    correlation = np.corrcoef(found, true)[0, 1]
    expected = (
        2
        * correlation
        * found.std()
        * true.std()
        / (found.var() + true.var() + (found.mean() - true.mean()) ** 2)
    )
    assert stats.concordance(sums) == pytest.approx(expected)
    assert stats.concordance(stats.pair_columns(true, true).sum(axis=0)) == pytest.approx(1)
    constant = stats.pair_columns(np.zeros(9), np.zeros(9)).sum(axis=0)
    assert stats.concordance(constant) == stats.r_squared(constant) == 0
    with pytest.raises(ValueError, match="no items"):
        stats.pair_columns([], [])
    with pytest.raises(ValueError, match="2 predictions for 1 values"):
        stats.pair_columns([1, 2], [1])


def test_predictions_without_a_value_are_named(data, tmp_path):
    lines = write_predictions(data, tmp_path / "p.jsonl")
    del lines[-1]["arousal"]
    write_jsonl(tmp_path / "p.jsonl", lines)
    with pytest.raises(DataError, match=f"record {len(lines)}: no arousal"):
        read_regressed(tmp_path / "p.jsonl", "test", tuple(LIMITS))


def test_the_blur_test_follows_the_picture(data):
    curves = blur_curves(data)
    for kind in ("blur", "contrast"):
        assert len(curves[kind]) == 5
        for name in ("predicted_iq", "formula_iq"):
            values = [row[name] for row in curves[kind]]
            assert values == sorted(values, reverse=True)
            assert values[0] > values[-1]
    faces = read_faces(data / "faces.npy", data / "metadata.csv")
    share = np.mean(faces.emotions[faces.rows_of("test")] == CLASSES[0])
    assert curves["blur"][0]["accuracy"] == pytest.approx(share)
    # Nothing known of a face changes with its picture but sharpness and contrast.
    assert curves["contrast"][0]["formula_eq"] == curves["contrast"][-1]["formula_eq"]


def test_a_network_that_does_not_follow_the_picture_is_found_out(data):
    found = blur_curves(data)
    assert found["network_iq"]["falls"]
    assert found["formula_iq"]["falls"]
    constant = blur_curves(data, Constant())["network_iq"]
    assert constant["flat"]
    assert not constant["falls"]


def test_blur_and_contrast_of_known_images():
    images = samples.draw_faces(np.arange(4), np.random.default_rng(0))
    assert blur.blurred(images, 0) is images
    assert np.array_equal(blur.with_contrast(images, 1.0), images)
    flat = blur.with_contrast(images, 0.0)
    assert (flat.std(axis=(1, 2)) == 0).all()
    point = np.zeros((1, 48, 48), np.uint8)
    point[0, 24, 24] = 255
    expected = 255 / (2 * np.pi * 2.0**2)
    assert blur.blurred(point, 2.0)[0, 24, 24] == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(("split", "images", "drawn"), [("validation", 60, 30), ("test", 20, 20)])
def test_too_few_faces_are_not_averaged(data, tmp_path, split, images, drawn):
    # Not checked: the model of the settings refuses 20 images.
    settings = BlurTest.model_construct(images=images)
    with pytest.raises(UserError, match=f"{drawn} faces of {split}, need 50: .* single people"):
        blur.write_blur_test(
            faces_path=data / "faces.npy",
            metadata_path=data / "metadata.csv",
            model_directory=tmp_path,
            result_path=tmp_path / "blur.json",
            figure=tmp_path / "blur",
            split=split,
            labels=LABELS,
            settings=settings,
            threads=1,
        )


def test_the_card_says_what_the_indices_are_not(evaluated):
    record = read_json(evaluated / "metrics.json")
    check = read_json(evaluated.parents[1] / "data" / "face_sample" / "label_check.json")
    registries = load_registries(PROJECT, {})
    entry = registries.datasets["fer2013"]
    text = card(record, TrainingData(entry), check, RUN, LABELS, {}, None, [], "")
    for sentence in (
        "](figures/blur_test.png)",
        "10.1177/1529100619832930",
        "Article 5(1)(f)",
        "*Intelligence or emotional intelligence.*",
        "web search",
    ):
        assert sentence in text
    first_page = text.split("## Results")[0]
    assert "blur_test.png" in first_page
    assert "were trained on" not in text
    assert "The formula follows the camera." in first_page
    assert "What the network has learnt follows the camera." in first_page
    assert all(f"- *{name}*: {warning}." in text for name, warning in WARNINGS.items())
    assert "Valence and arousal: those of the class label, mean ratings of emotion words" in text
    assert "[doi 10.1016/0092-6566(77)90037-X](https://doi.org/" in text
    assert "The temperature was fitted" not in text
    record["details"]["blur_test"]["network_iq"] = {"falls": False, "flat": True}
    text = card(record, TrainingData(entry), check, RUN, LABELS, {}, None, [], "")
    assert "The network does not even follow the camera." in text
    assert "has learnt follows the camera" not in text
    record["details"]["blur_test"]["network_iq"] = {"falls": False, "flat": False}
    text = card(record, TrainingData(entry), check, RUN, LABELS, {}, None, [], "")
    assert "not even follow the camera" not in text
    record["details"]["blur_test"]["formula_iq"] = {"falls": False, "flat": True}
    text = card(record, TrainingData(entry), check, RUN, LABELS, {}, None, [], "")
    assert "follows the camera" not in text
    record["details"]["seen_in_training"] = True
    generated = registries.datasets["face_sample"]
    text = card(
        record, TrainingData(generated, ["blank images"]), check, RUN, LABELS, {}, None, [], ""
    )
    assert "it differs in blank images." in text
    assert "were trained on" in text
    assert "drawn by a program" in text
    assert "The scores do not show how well the network classifies a new face." in text


def test_the_card_names_the_votes_and_what_the_temperature_was_fitted_to(evaluated):
    record = read_json(evaluated / "metrics.json")
    check = read_json(evaluated.parents[1] / "data" / "face_sample" / "label_check.json")
    registries = load_registries(PROJECT, {})
    entry, votes = registries.datasets["fer2013"], {"ferplus": registries.datasets["ferplus"]}
    recipe = changed(RUN, loss={"votes_weight": 0.15})
    record["details"]["temperature_on_result"] = True
    check["affect_source"] = "votes"
    text = card(record, TrainingData(entry), check, recipe, LABELS, votes, None, [], "")
    assert "They make up 15 % of each class target in training, and enter the formula" in text
    assert "by their entropy, and valence and arousal." in text
    assert "Valence and arousal: the mean under the votes" in text
    assert "Barsoum et al." in text
    assert "Votes: MIT;" in text
    assert "(`ferplus`)" in text
    assert "The calibration error after scaling is optimistic." in text
    record["details"]["temperature_on_training"] = True
    recipe = changed(RUN, loss={"votes_weight": 0})
    text = card(record, TrainingData(entry), check, recipe, LABELS, votes, None, [], "")
    assert "They are in no class target; they enter the formula" in text
    assert "fitted to images that were trained on" in text
    assert "\n\n\n" not in text


@pytest.mark.parametrize(
    ("split", "train_on", "on_result", "on_training"),
    [
        ("test", ["train"], False, False),
        ("validation", ["train"], True, False),
        ("test", ["train", "validation"], False, True),
    ],
)
def test_the_record_says_what_the_temperature_was_fitted_to(
    data, evaluated, tmp_path, split, train_on, on_result, on_training
):
    folder = tmp_path / "made" / "seed1"
    shutil.copytree(evaluated, folder)
    shutil.copytree(evaluated.parents[1] / "data", tmp_path / "data")
    lines = read_jsonl(folder / "predictions.jsonl")
    asked = ("validation", split)
    kept = [line for line in lines if line["split"] in asked]
    write_jsonl(folder / "predictions.jsonl", kept)
    record = score(data, folder, folder, changed(RUN, train_on=train_on), split)
    details = record["details"]
    assert details["temperature_on_result"] is on_result
    assert details["temperature_on_training"] is on_training


def test_other_pixels_have_another_hash(data, evaluated, tmp_path):
    """The table of a CSV corpus says nothing of its pixels."""
    first = read_json(evaluated / "metrics.json")["data"]["sha256"]
    images = np.load(data / "faces.npy")
    images[0, 0, 0] ^= 1
    np.save(tmp_path / "faces.npy", images)
    other = score(data, evaluated, tmp_path, RUN, "test", faces=tmp_path / "faces.npy")
    assert other["data"]["sha256"] != first


def test_the_report_section_is_whole(evaluated):
    block = Block(selected=["made"], runs={"made": RUN})
    made = section(evaluated.parents[1], block, [], ["face_sample"])
    text = " ".join(made.sentences)
    assert "has learnt follows that sharpness" in text
    assert "The network does not follow" not in text
    record = read_json(evaluated / "metrics.json")
    rest = record["other_splits"]["test_without_overlap"]
    shown = "".join(made.parts.values())
    table = shown.split('id="t-face-results"')[1].split("</table>")[0]
    for score_name in ("accuracy", "macro_f1"):
        assert f"{rest['metrics'][score_name]['value']:.3f}" in table
    assert f"n = {rest['n']}" in table
    assert [note.mark for note in made.notes] == ["generated data"]
    check = read_json(evaluated.parents[1] / "data" / "face_sample" / "label_check.json")
    importance = f"{check['importance']['iq_proxy']['emotions']:.3f}"
    row = shown.split('<th scope="row">emotions</th>')[1].split("</tr>")[0]
    assert importance in row
    assert "Mean proxy labels of face_sample by emotion label" in shown
    assert "Share that is missing in face_sample: " in shown
    assert [one.name for one in made.figures] == ["confusion matrix", "reliability"]
    assert made.figures[0].drawing.mistakes
    assert made.figures[1].drawing.startswith('<svg class="plot"')
    # The others are of the labels and of the outputs.
    assert shown.count('<svg class="plot"') == 2
    assert all(f'<a href="#{one.key}">' in shown for one in made.figures)
    assert {row["split"] for row in made.rows} == {"test"}
    assert raw_keys(shown + " ".join(made.sentences), {"face_sample"}) == set()


def test_the_headline_names_no_run_that_was_trained_on_validation(evaluated, tmp_path):
    """Its accuracy there is memory."""
    folder = tmp_path / "face"
    unsealed = shutil.ignore_patterns(".*.sha256")
    shutil.copytree(evaluated.parents[1], folder, ignore=unsealed)
    shutil.copytree(evaluated.parent, folder / "memory", ignore=unsealed)
    path = folder / "memory" / "seed1" / "metrics.json"
    record = read_json(path) | {"run": "memory"}
    record["details"]["train_on"] = ["train", "validation"]
    record["other_splits"]["validation"]["metrics"]["accuracy"]["value"] = 1.0
    write_json(path, record)
    comparison = read_json(folder / "comparison.json")
    comparison["runs"] += [run | {"run": "memory"} for run in comparison["runs"]]
    write_json(folder / "comparison.json", comparison)
    block = Block(selected=["memory", "made"], runs={"made": RUN, "memory": RUN})
    first = section(folder, block, [], []).sentences[0]
    assert first.startswith("made, the run with the highest validation accuracy")


def config(**changes):
    run = {
        **RECIPE,
        "seeds": [1],
        "loss": {"votes_weight": 0.0, "affect_weight": 0.1, "proxy_weight": 0.1},
        "augmentation": {"mixup": 0.5, "cutmix": 0.5},
        "training": {"warmup_steps": 0.1},
    }
    return {
        "selected": ["made"],
        "result_split": "test",
        "votes": {},
        "runs": {"made": run | changes},
    }


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({}, None),
        ({"data": "emotion"}, "face.runs.made.data: 'emotion' has the layout 'emotion'"),
        (
            {"method": "backbone"},
            "face.runs.made.network.widths: does not go with method 'backbone'",
        ),
        ({"model": "resnet-tiny"}, "face.runs.made.model: does not go with method 'compact'"),
        (
            {"network": {"widths": [8, 8], "depths": [1], "dropout": 0.0}},
            "face.runs.made.network.depths: one number per stage: 1 depths for 2 widths",
        ),
        (
            {"network": {"image_size": 64, "dropout": 0.0}},
            "face.runs.made.network.image_size: does not go with method 'compact'",
        ),
        (
            {"loss": {"votes_weight": 0.3}},
            "face.runs.made.loss.votes_weight: above 0, but face.votes names no votes",
        ),
        (
            {"augmentation": {"mixup": 0.7, "cutmix": 0.5}},
            "face.runs.made.augmentation.cutmix: mixup and cutmix are chances",
        ),
        (
            {"augmentation": {"mixup": 1, "cutmix": 0.5}},
            "face.runs.made.augmentation.cutmix: mixup and cutmix are chances",
        ),
        (
            {"method": "backbone", "model": "minilm-l6"},
            "face.runs.made.model: 'minilm-l6' is of the kind text-encoder, expected image-encoder",
        ),
        (
            {"train_on": ["train", "test"]},
            "face.runs.made.train_on: test is face.result_split, which a corrected run leaves out",
        ),
        (
            {"train_on": ["train", "validation"]},
            "face.runs.made.select_on: validation is trained on as well, which chooses nothing",
        ),
        (
            {"select_on": None, "training": {"early_stopping_patience": 2}},
            "face.runs.made.training.early_stopping_patience: without select_on there is no score",
        ),
        (
            {"training": {"warmup_steps": 2.0}},
            "face.runs.made.training.warmup_steps: with a point it is a share",
        ),
    ],
)
def test_mistakes_in_the_configuration_are_told(changes, mistake):
    registries = load_registries(PROJECT, {})
    found = list(settings.mistakes(config(**changes), registries))
    assert found == [] if mistake is None else any(mistake in text for text in found)


def test_a_published_run_may_be_scored_on_what_it_was_trained_on():
    published = config(protocol="published", train_on=["train", "test"], select_on=None)
    assert list(settings.mistakes(published, load_registries(PROJECT, {}))) == []


def test_what_a_block_needs():
    block = config(data="fer2013") | {"votes": {"fer2013": "ferplus", "face_sample": "other"}}
    assert settings.needed_assets(block) == ({"fer2013", "ferplus"}, set())
    # What an overlay can do, which cannot take a name out.
    block["votes"]["fer2013"] = None
    assert settings.needed_assets(block) == ({"fer2013"}, set())
    [mistake] = settings.mistakes(block, load_registries(PROJECT, {}))
    assert mistake.startswith("face.votes.face_sample: no data set is called 'other'")


@pytest.mark.parametrize("overlay", [[], ["cpu.yaml"], ["demo.yaml"]])
def test_the_shipped_configurations_are_valid(overlay):
    from affectlab.config.load import load_config

    shipped = load_config(PROJECT, [PROJECT / "config" / name for name in overlay])
    validate_config(shipped, PROJECT)
