"""Classifiers that others trained, from the hub or a folder to the report."""

import html
import json
import math

import pytest
import soundfile
import yaml
from conftest import CHECKOUT
from hub_mirror import model_mirror
from own_images import write_classes
from own_texts import rows_of, write_csv
from sklearn.metrics import accuracy_score
from test_own_audio_scenario import CLASSES, RATE, voice
from their_models import (
    CARD,
    FACES,
    write_images_model,
    write_recordings_model,
    write_texts_model,
    write_texts_onnx,
)
from transformers import pipeline

NAME = "distilbert-emotion"
"""A shipped entry; its twin is served by a mirror."""

OURS = {"Angst": "fear", "Freude": "joy", "Ruhe": "calm", "Wut": "anger"}
KIND = {"licence": "MIT", "title": "theirs", "parameters": 1000, "size_mb": 1, "sources": []}


def pretrained(model, data, **block):
    return {"method": "pretrained", "model": model, "data": data, "seeds": [0],
            "pretrained": block}  # fmt: skip


def json_of(folder, experiment, run, name="metrics.json"):
    return json.loads((folder / f"results/{experiment}/{run}/seed0/{name}").read_text())


def page_of(folder):
    return " ".join(html.unescape((folder / "results/report/index.html").read_text()).split())


@pytest.fixture(scope="module")
def texts(project, tmp_path_factory):
    """The folder of a run of ours and of two of theirs on a table: from the hub, and by ONNX."""
    folder = tmp_path_factory.mktemp("texts")
    write_texts_model(folder / "twin", card=CARD)
    write_texts_onnx(folder / "twin", folder / "root" / "exported")
    directory = project.directory("pretrained_texts")
    rows = [{"tweet": row["tweet"], "emo": OURS[row["emo"]]} for row in rows_of(120)]
    write_csv(directory, rows)
    (source,) = yaml.safe_load((CHECKOUT / "config" / "models.yaml").read_text())[NAME]["sources"]
    # transformers no longer writes a vocabulary beside tokenizer.json.
    files = {name: None for name in source["files"] if (folder / "twin" / name).exists()}
    overlay = {
        "experiments": ["emotion"],
        "model_root": str(folder / "root"),
        "datasets": {
            "mine": {
                "path": "mine.csv",
                "layout": "table",
                "columns": {"text": "tweet", "label": "emo"},
                "language": "en",
                "split": {"test": 0.5, "validation": 0.1, "seed": 0},
            }
        },
        "models": {
            "exported": {"kind": "text-classifier", **KIND},
            NAME: {"kind": "text-classifier", **KIND, "sources": [{**source, "files": files}]},
        },
        "emotion": {
            "selected": ["words", "theirs", "by_onnx"],
            "bootstrap": {"resamples": 100},
            "label_noise": {"folds": 2},
            "runs": {
                "words": {"method": "tfidf", "data": "mine", "seeds": [0]},
                "theirs": pretrained(NAME, "mine"),
                "by_onnx": pretrained("exported", "mine", classes={"love": "calm"}),
            },
        },
    }
    with model_mirror({(source["repo"], source["revision"]): folder / "twin"}) as server:
        home = str(folder / "home")
        env = {"HF_ENDPOINT": server.url, "HF_HOME": home, "HF_HUB_OFFLINE": None}
        overlays = [project.write_overlay("pretrained_texts", overlay)]
        result = project.snakemake(directory=directory, overlays=overlays, env=env)
    assert result.status == 0, result.output
    assert result.jobs["emotion_pretrained"] == 2
    assert "emotion_train" not in result.jobs
    return directory, folder / "twin", overlays


def test_the_score_is_that_of_the_pipeline(texts):
    folder, twin, _ = texts
    path = folder / "results" / "emotion" / "data" / "mine" / "records.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    tested = [row for row in records if row["split"] == "test"]
    run = pipeline("text-classification", model=str(twin), device="cpu")
    ours = ("anger", "fear", "joy")
    decided, losses = [], []
    for row in tested:
        shares = {one["label"]: one["score"] for one in run([row["text"]], top_k=9)[0]}
        decided.append(max(ours, key=lambda name: shares[name]))
        total = sum(shares[name] for name in ours)
        losses.append(-math.log(max(shares.get(row["label"], 0) / total, 1e-30)))
    record = json_of(folder, "emotion", "theirs")
    expected = accuracy_score([row["label"] for row in tested], decided)
    assert record["metrics"]["accuracy"]["value"] == pytest.approx(expected, abs=1e-7)
    nll = sum(losses) / len(losses)
    assert record["metrics"]["nll"]["value"] == pytest.approx(nll, rel=1e-4)
    assert record["model"]["name"] == NAME
    assert record["calibration"] is not None
    assert record["per_class"]["calm"]["recall"] == 0
    classes = record["details"]["outside"]["classes"]
    assert classes["without_counterpart"] == ["calm"]
    assert set(classes["unmapped"]) == {"sadness", "love", "surprise"}
    assert classes["items"] == record["data"]["n"] == len(tested)


def test_the_report_states_what_the_card_states(texts):
    folder, *_ = texts
    metrics = json_of(folder, "emotion", "theirs")["metrics"]["accuracy"]
    said = (
        "Its card states Accuracy 0.927 on emotion, split test; here it is "
        f"{metrics['value']:.3f} [{metrics['ci'][0]:.3f}, {metrics['ci'][1]:.3f}]."
    )
    text = (folder / "results/emotion/theirs/seed0/evaluation_results.txt").read_text()
    for page in (page_of(folder), " ".join(text.split())):
        assert said in page
        assert "Whether these are the same items is not known." in page
        assert "love, sadness, surprise of the model stand for no class of these data." in page
        assert "No class of the model stands for calm: the recall there is 0." in page
    assert not (folder / "results/emotion/theirs/seed0/model_card.md").exists()


def test_an_onnx_file_and_another_mapping(project, texts):
    folder, _, overlays = texts
    classes = json_of(folder, "emotion", "by_onnx")["details"]["outside"]["classes"]
    assert classes["mapped"]["love"] == "calm"
    assert classes["without_counterpart"] == []
    assert "exported (onnx/model.onnx) predicts these test texts as it is" in page_of(folder)
    # A mapping to a class that is not there stops the job, and both sides are listed.
    wrong = {"emotion": {"runs": {"by_onnx": {"pretrained": {"classes": {"love": "peace"}}}}}}
    wrong = project.write_overlay("pretrained_wrong", wrong)
    result = project.snakemake(
        "results/emotion/by_onnx/seed0/predictions.jsonl",
        directory=folder,
        overlays=[*overlays, wrong],
    )
    assert result.status != 0
    assert (
        "emotion.runs.by_onnx.pretrained.classes: the data have no class 'peace'" in result.output
    )
    assert "of the data: anger, calm, fear, joy" in result.output


def test_images_and_recordings(project, tmp_path):
    directory = project.directory("pretrained_media")
    write_classes(directory / "pictures", 45)
    write_images_model(tmp_path / "vit-face-expression")
    (directory / "voices" / "audio").mkdir(parents=True)
    lines = ["file_name,label,subject"]
    for subject in range(6):
        for number, (label, frequency) in enumerate(CLASSES.items()):
            name = f"audio/{subject}_{number}.wav"
            sound = voice(10 * subject + number, frequency)
            soundfile.write(directory / "voices" / name, sound, RATE)
            lines.append(f"{name},{label},P{subject}")
    (directory / "voices" / "metadata.csv").write_text("\n".join(lines) + "\n")
    write_recordings_model(tmp_path / "speech", ["SAD", "CALM", "bored"])
    mapping = {"happy": "froh", "surprise": "staunend", "sad": "traurig"}
    split = {"test": 0.4, "validation": 0.2, "seed": 0}
    image = {"size": 48, "color": True}
    overlay = {
        "experiments": ["face", "audio"],
        "model_root": str(tmp_path),
        "datasets": {
            "pictures": {"path": "pictures", "layout": "image_folder", "image": image,
                         "split": split},
            "voices": {"path": "voices", "layout": "audio_folder"},
        },
        "models": {"speech": {"kind": "audio-classifier", **KIND}},
        "face": {
            "selected": ["theirs"],
            "export": [],
            "bootstrap": {"resamples": 100},
            "runs": {"theirs": pretrained("vit-face-expression", "pictures", classes=mapping)},
        },
        "audio": {
            "selected": ["theirs"],
            "baseline": None,
            "bootstrap": {"resamples": 100},
            "runs": {"theirs": {**pretrained("speech", "voices"), "task": "label"}},
        },
    }  # fmt: skip
    overlays = [project.write_overlay("pretrained_media", overlay)]
    result = project.snakemake(directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    assert {"face_pretrained", "audio_pretrained", "report_build"} <= result.rules
    assert {"face_train", "audio_probe", "audio_embed"} & result.rules == set()
    faces = json_of(directory, "face", "theirs")
    assert faces["model"]["name"] == "vit-face-expression"
    assert faces["method"] == "pretrained"
    unmapped = faces["details"]["outside"]["classes"]["unmapped"]
    assert set(unmapped) == set(FACES) - set(mapping)
    voices = json_of(directory, "audio", "theirs")
    assert voices["data"]["n"] == 18
    assert voices["model"]["name"] == "speech"
    assert voices["details"]["outside"]["classes"]["without_counterpart"] == ["keen"]
    page = page_of(directory)
    assert "vit-face-expression predicts these images as it is; nothing was trained here." in page
    assert "speech predicts these recordings as it is; nothing was trained here." in page
    assert "bored of the model stands for no class of these data." in page


def test_a_run_needs_a_classifier_and_one_seed(project):
    block = {"selected": ["theirs"], "runs": {"theirs": {
        "method": "pretrained", "data": "emotion_sample", "seeds": [0, 1]}}}  # fmt: skip
    overlay = project.write_overlay(
        "pretrained_none", {"experiments": ["emotion"], "emotion": block}
    )
    result = project.snakemake(
        "-n", directory=project.directory("pretrained_none"), overlays=[overlay]
    )
    assert result.status != 0
    expected = "'minilm-l6' is of the kind text-encoder, expected text-classifier"
    assert expected in result.output
    assert "emotion.runs.theirs.seeds: nothing is trained" in result.output
