"""Classifiers from elsewhere: what is stored equals what transformers' own pipelines give."""

import json
import warnings

import numpy as np
import pytest
import soundfile
import soxr
from emotion_tables import data_of
from own_images import converted, write_classes
from PIL import Image
from safetensors.torch import load_file, save_file
from their_models import (
    CARD,
    EMOTION,
    FACES,
    write_images_model,
    write_recordings_model,
    write_texts_model,
    write_texts_onnx,
)
from transformers import (
    ASTFeatureExtractor,
    AutoModelForSequenceClassification,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
    pipeline,
)

from affectlab.assets.checkpoints import check_model
from affectlab.audio import pretrained as audio
from affectlab.audio.data import Clip
from affectlab.audio.predictions import OUTSIDE, Corpus, Known, read_predictions
from affectlab.audio.settings import AudioRun
from affectlab.config.models import typed
from affectlab.emotion import pretrained as emotion
from affectlab.emotion.data import Record
from affectlab.emotion.settings import EmotionRun
from affectlab.errors import DataError, FetchError, UserError
from affectlab.evaluation.outside_words import outside_sentences
from affectlab.face import pretrained as face
from affectlab.face.scored_data import ScoredData
from affectlab.face.settings import FaceRun
from affectlab.files.io import read_json, read_jsonl
from affectlab.models.classifier_inputs import Texts
from affectlab.models.classifiers import load_classifier
from affectlab.samples.models import write_tiny_roberta

TEXTS = (
    "i feel so happy today", "i am alone", "that makes me angry and sad", "what a surprise",
    "i love you so much " * 20, "he was afraid of it", "x",
)  # fmt: skip


@pytest.fixture(scope="module")
def texts_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    write_texts_model(folder / "model", card=CARD)
    return folder / "model"


def records(texts=TEXTS):
    splits = ["validation", "test"]
    held_out = [
        Record(f"t{n}", text, EMOTION[n % 6], splits[n % 2]) for n, text in enumerate(texts)
    ]
    return [Record("train1", "of no use", "joy", "train"), *held_out]


def predict_texts(tmp_path, directory, texts=TEXTS, **block):
    """The stored rows by id, and the record."""
    run = typed(EmotionRun, {"method": "pretrained", "model": "theirs", "pretrained": block})
    paths = {
        "predictions_path": tmp_path / "predictions.jsonl",
        "record_path": tmp_path / "outside.json",
    }
    data = data_of(records(texts), EMOTION)
    emotion.predict(data, run, directory, ["dair-ai/emotion"], key="k", threads=1, **paths)
    rows = {row["id"]: row for row in read_jsonl(paths["predictions_path"])}
    return rows, read_json(paths["record_path"])


def by_pipeline(task, directory, items, **options):
    """Class -> probability of each item, computed one at a time."""
    run = pipeline(task, model=str(directory), device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [run(item, top_k=9, **options) for item in items]
    # The one for texts nests its results once more.
    flat = [each[0] if isinstance(each[0], list) else each for each in found]
    return [{one["label"]: one["score"] for one in each} for each in flat]


def assert_same(stored, expected):
    assert stored.keys() == expected.keys()
    for name, share in expected.items():
        assert stored[name] == pytest.approx(share, abs=2e-6), name


def test_texts_equal_the_pipeline(tmp_path, texts_model):
    rows, record = predict_texts(tmp_path, texts_model)
    assert set(rows) == {f"t{n}" for n in range(len(TEXTS))}
    expected = by_pipeline("text-classification", texts_model, TEXTS)
    # The test would show nothing if all texts had the same class.
    assert len({max(shares, key=shares.get) for shares in expected}) > 1
    for number, shares in enumerate(expected):
        row = rows[f"t{number}"]
        assert row["prediction"] == max(shares, key=shares.get)
        assert_same(row["probabilities"], shares)
        assert row["cut"] is False
    assert record["classes"]["mapped"] == {name: name for name in EMOTION}
    assert record["classes"]["items"] == 3
    assert record["weights"] is None
    assert record["max_length"] == 512
    assert record["card"]["trained_on"] == ["dair-ai/emotion"]


def test_long_texts_are_cut_and_counted(tmp_path):
    write_texts_model(tmp_path / "model", max_position_embeddings=24)
    long = [*TEXTS[:3], "word " * 200]
    rows, record = predict_texts(tmp_path, tmp_path / "model", texts=long)
    assert record["max_length"] == 24
    assert [name for name, row in rows.items() if row["cut"]] == ["t3"]
    assert record["reading"] == {"limit": "24 tokens", "cut": 1}
    expected = by_pipeline(
        "text-classification", tmp_path / "model", long, truncation=True, max_length=24
    )
    assert_same(rows["t3"]["probabilities"], expected[3])


def test_other_names_are_mapped_and_the_rest_is_reported(tmp_path):
    theirs = ["LABEL_0", "LABEL_1", "Joy", "boredom"]
    write_texts_model(tmp_path / "model", theirs)
    mapping = {"LABEL_0": "anger", "LABEL_1": "anger"}
    rows, record = predict_texts(tmp_path, tmp_path / "model", classes=mapping)
    expected = by_pipeline("text-classification", tmp_path / "model", TEXTS)
    for number, shares in enumerate(expected):
        anger, joy = shares["LABEL_0"] + shares["LABEL_1"], shares["Joy"]
        stored = rows[f"t{number}"]["probabilities"]
        assert stored["anger"] == pytest.approx(anger / (anger + joy), abs=2e-5)
        assert stored["joy"] == pytest.approx(joy / (anger + joy), abs=2e-5)
        assert stored["love"] == 0
    tested = [shares for number, shares in enumerate(expected) if number % 2 == 1]
    classes = record["classes"]
    assert classes["unmapped"] == {
        "boredom": pytest.approx(np.mean([shares["boredom"] for shares in tested]), abs=2e-6)
    }
    firsts = [max(shares, key=shares.get) for shares in tested]
    assert classes["first_choice_unmapped"] == firsts.count("boredom")
    assert classes["without_counterpart"] == ["sadness", "love", "fear", "surprise"]
    metrics = {
        "metrics": {}, "data": {"n": 3}, "details": {"outside": {**record, "swapped_names": {}}}
    }  # fmt: skip
    words = " ".join(outside_sentences(metrics, "texts"))
    assert words.startswith("theirs predicts these texts as it is; nothing was trained here.")
    assert "boredom of the model stands for no class" in words


def test_classes_that_are_decided_one_by_one_are_scaled(tmp_path):
    write_texts_model(tmp_path / "model", problem_type="multi_label_classification")
    rows, _ = predict_texts(tmp_path, tmp_path / "model")
    (shares,) = by_pipeline("text-classification", tmp_path / "model", TEXTS[:1])
    total = sum(shares.values())
    assert total != pytest.approx(1, abs=0.01)
    assert_same(
        rows["t0"]["probabilities"], {name: value / total for name, value in shares.items()}
    )


def test_an_onnx_file_gives_the_same(tmp_path, texts_model):
    write_texts_onnx(texts_model, tmp_path / "exported")
    check_model(tmp_path / "exported", "text-classifier")
    with pytest.raises(FetchError, match="has no weights"):
        check_model(tmp_path / "exported", "text-encoder")
    rows, record = predict_texts(tmp_path, tmp_path / "exported")
    assert record["weights"] == "onnx/model.onnx"
    plain, _ = predict_texts(tmp_path, texts_model)
    for name, row in plain.items():
        assert rows[name]["prediction"] == row["prediction"]
        assert_same(rows[name]["probabilities"], row["probabilities"])
    with pytest.raises(DataError, match=r"other\.onnx: no ONNX network"):
        predict_texts(tmp_path, tmp_path / "exported", onnx="other.onnx")


def test_a_checkpoint_without_its_head_is_refused(tmp_path, texts_model):
    """As that of `ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition`, named otherwise."""
    write_texts_model(tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    weights = {name.replace("classifier", "classifier.dense"): tensor
               for name, tensor in load_file(path).items()}  # fmt: skip
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(UserError, match=r"lacks .* of its weights"):
        predict_texts(tmp_path, tmp_path / "model")


def test_a_model_that_predicts_a_number_is_refused(tmp_path):
    write_texts_model(tmp_path / "model", ["score"])
    with pytest.raises(DataError, match="expected at least two classes"):
        load_classifier(
            tmp_path / "model",
            AutoModelForSequenceClassification,
            purpose="a text classifier",
            onnx=None,
            threads=1,
        )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_classes(folder / "raw", 30)
    write_images_model(folder / "model")
    return folder


@pytest.mark.parametrize("color", [True, False])
def test_images_equal_the_pipeline(tmp_path, pictures, color):
    split = {"test": 0.3, "validation": 0.2, "seed": 0}
    image = {"size": 48, "color": color}
    (tmp_path / "raw").symlink_to(pictures / "raw")
    faces = converted(tmp_path, {"layout": "image_folder", "image": image, "split": split})
    mapping = {"happy": "froh", "surprise": "staunend", "sad": "traurig"}
    run = typed(
        FaceRun, {"method": "pretrained", "model": "vit", "pretrained": {"classes": mapping}}
    )
    paths = {"predictions_path": tmp_path / "p.jsonl", "record_path": tmp_path / "o.json"}
    data = ScoredData(faces, {}, tmp_path / "metadata.csv")
    face.predict(
        data, run, pictures / "model", [], key="k", result_split="test", threads=1, **paths
    )
    rows = list(read_jsonl(paths["predictions_path"]))
    assert {row["split"] for row in rows} == {"validation", "test"}
    place = {name: number for number, name in enumerate(faces.paths)}
    images = [Image.fromarray(faces.images[place[row["id"]]]).convert("RGB") for row in rows]
    expected = by_pipeline("image-classification", pictures / "model", images)
    for row, shares in zip(rows, expected, strict=True):
        ours = {meant: shares[name] for name, meant in mapping.items()}
        total = sum(ours.values())
        for name, value in ours.items():
            assert row["probabilities"][name] == pytest.approx(value / total, abs=2e-5)
    record = read_json(paths["record_path"])
    assert set(record["classes"]["unmapped"]) == set(FACES) - set(mapping)
    assert record["numbers"] == []


RATE = 22_050


@pytest.fixture
def sounds(tmp_path):
    """Clips of two speakers with three lengths, and what is known of them."""
    (tmp_path / "raw").mkdir()
    generator = np.random.default_rng(0)
    clips = []
    for number, seconds in enumerate([0.5, 1.0, 0.5, 0.75, 1.0, 0.02]):
        wave = 0.1 * generator.normal(size=round(seconds * RATE))
        soundfile.write(tmp_path / "raw" / f"c{number}.wav", wave, RATE, subtype="FLOAT")
        kind = ["yes", "no"][number % 2]
        clips.append(Clip(f"c{number}", f"c{number}.wav", f"s{number % 2}", {"label": kind}, None))
    return clips


def predict_sounds(tmp_path, clips, directory, unit="clip"):
    known = {one.id: Known(one.subject, one.labels["label"], None) for one in clips}
    people = {one.subject: Known(one.subject, one.labels["label"], None) for one in clips}
    corpus = Corpus(known, known if unit == "clip" else people)
    run = typed(
        AudioRun, {"method": "pretrained", "model": "w2v", "task": "label", "unit": unit}
    )  # fmt: skip
    paths = {"predictions_path": tmp_path / "p.jsonl", "record_path": tmp_path / "o.json"}
    audio.predict(
        clips,
        corpus,
        ("no", "yes"),
        run,
        raw_directory=tmp_path / "raw",
        directory=directory,
        hub_ids=[],
        key="k",
        threads=1,
        **paths,
    )
    found = read_predictions(paths["predictions_path"], ("no", "yes"), corpus, OUTSIDE)[OUTSIDE]
    shares = dict(zip(found.ids, found.probabilities[0], strict=True))
    return shares, read_json(paths["record_path"])


@pytest.mark.parametrize("rate", [16_000, 8_000])
def test_recordings_equal_the_pipeline(tmp_path, sounds, rate):
    write_recordings_model(tmp_path / "model", ["Yes", "No"], rate)
    shares, record = predict_sounds(tmp_path, sounds, tmp_path / "model")
    waves = []
    for clip in sounds:
        wave, found = soundfile.read(tmp_path / "raw" / clip.path, dtype="float32")
        wave = soxr.resample(wave, found, rate, quality="VHQ")
        # The last one is shorter than the first convolutions need.
        waves.append(np.pad(wave, (0, max(0, rate // 10 - len(wave)))))
    expected = by_pipeline("audio-classification", tmp_path / "model", waves)
    for clip, one in zip(sounds, expected, strict=True):
        assert shares[clip.id] == pytest.approx([one["No"], one["Yes"]], abs=2e-5)
    assert record["reading"] == {"limit": "60 s", "cut": 0}
    people, _ = predict_sounds(tmp_path, sounds, tmp_path / "model", unit="subject")
    for subject in ("s0", "s1"):
        own = [shares[clip.id] for clip in sounds if clip.subject == subject]
        assert people[subject] == pytest.approx(np.mean(own, axis=0), abs=2e-6)


def test_long_recordings_are_cut_and_counted(tmp_path, sounds, monkeypatch):
    write_recordings_model(tmp_path / "model", ["yes", "no"])
    monkeypatch.setattr(audio, "LONGEST_SECONDS", 0.6)
    _, record = predict_sounds(tmp_path, sounds, tmp_path / "model")
    assert record["reading"] == {"limit": "0.6 s", "cut": 3}


def test_a_folder_without_its_preparation_is_refused(tmp_path, sounds):
    write_recordings_model(tmp_path / "model", ["yes", "no"])
    (tmp_path / "model" / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match=r"no preprocessor_config\.json"):
        predict_sounds(tmp_path, sounds, tmp_path / "model")


def test_more_outputs_than_names_are_refused(tmp_path, texts_model):
    write_texts_onnx(texts_model, tmp_path / "exported", "model.onnx")
    path = tmp_path / "exported" / "config.json"
    config = json.loads(path.read_text())
    for key in ("id2label", "label2id"):
        config[key] = dict(list(config[key].items())[:5])
    path.write_text(json.dumps(config))
    with pytest.raises(UserError, match="one for each class in id2label"):
        predict_texts(tmp_path, tmp_path / "exported")


@pytest.mark.parametrize("stated", [512, 100, None])
def test_the_limit_of_a_text_is_the_least_that_is_known(tmp_path, stated):
    """RoBERTa numbers places from the id of its padding token on: 514 places hold 512 tokens."""
    write_tiny_roberta(tmp_path / "model")
    path = tmp_path / "model" / "tokenizer_config.json"
    config = json.loads(path.read_text())
    assert config.pop("model_max_length") == 512
    path.write_text(json.dumps(config | ({} if stated is None else {"model_max_length": stated})))
    found = Texts.of(tmp_path / "model", ["so it is " * 400, "short"])
    assert found.max_length == (stated or 512)
    assert found.cut == (0,)
    assert len(found.token_ids[0]) == found.max_length


@pytest.mark.parametrize(
    ("extractor", "seconds"),
    [
        (WhisperFeatureExtractor(), 30.0),
        (ASTFeatureExtractor(), 10.24),
        (Wav2Vec2FeatureExtractor(), 60.0),
    ],
)
def test_the_window_of_a_model_is_found(tmp_path, extractor, seconds):
    extractor.save_pretrained(tmp_path)
    listener = audio.Listener.of(tmp_path)
    assert listener.seconds == pytest.approx(seconds)
    wave = np.zeros(round((seconds + 1) * listener.rate), dtype=np.float32)
    assert listener.is_longer(wave)
    assert not listener.is_longer(wave[: -2 * listener.rate])
