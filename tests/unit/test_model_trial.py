"""A model directory whose files do not fit each other is refused when it is loaded."""

import json

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from affectlab.audio.encoders.registry import load_encoder as load_audio_encoder
from affectlab.emotion import tfidf
from affectlab.emotion.data import CLASSES
from affectlab.emotion.predict import EmotionClassifier
from affectlab.emotion.settings import Tfidf
from affectlab.entity.heads import Heads
from affectlab.entity.model import Description, EmotionEmbedder, load_encoder, save_model
from affectlab.entity.predict import GbertPredictor
from affectlab.errors import UserError
from affectlab.face.interface import Interface
from affectlab.face.model import build_network, load_network, save_network
from affectlab.face.settings import FaceRun, Network
from affectlab.models.chat import stop_ids
from affectlab.samples.audio_models import write_tiny_clap
from affectlab.samples.models import write_tiny_bert, write_tiny_qwen3, write_tiny_resnet
from affectlab.summary import model as summary_model


def change(path, *keys, value):
    content = json.loads(path.read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(content))
    # Whoever changes a file can change the sums that are kept with it.
    for sums in path.parent.glob("SHA256SUMS"):
        sums.unlink()


def a_common_word(folder):
    """A word of a tokenizer that is no special token."""
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    return next(word for word in vocabulary if word.isalpha() and len(word) > 1)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("face")
    write_tiny_resnet(folder / "base")
    settings = Network(image_size=48, dropout=0.0)
    run = FaceRun(method="backbone", network=settings, test_time="flip")
    save_network(build_network(run, folder / "base", Interface()), run, folder / "model")
    return folder / "model"


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("network", "image_size"), "48"),
        (("network", "image_size"), [48]),
        (("network", "image_size"), 0),
        (("network", "image_size"), 40_000),
        (("scale",), ["0.5", 0.25]),
        (("scale",), [{}, 0.25]),
        (("scale",), [0.5, 0.0]),
        (("scale",), [float("nan"), 0.25]),
    ],
)
def test_settings_of_a_face_network_that_fail_with_the_first_image(backbone, keys, value):
    config = backbone / "config.json"
    before = config.read_text()
    try:
        change(config, *keys, value=value)
        with pytest.raises(UserError, match="not a model of the face experiment"):
            load_network(backbone)
    finally:
        config.write_text(before)
    assert not load_network(backbone)[0].training


@pytest.fixture
def classifier(tmp_path):
    folder = tmp_path / "model"
    write_tiny_bert(folder)
    config = BertConfig.from_pretrained(folder)
    config.id2label = dict(enumerate(CLASSES))
    config.label2id = {name: number for number, name in enumerate(CLASSES)}
    BertForSequenceClassification(config).save_pretrained(folder)
    EmotionClassifier.from_directory(folder, device="cpu").predict(["so happy"])
    return folder


@pytest.mark.parametrize("value", ["long", [512], 0, -1, float("inf")])
def test_a_limit_that_is_no_length(classifier, value):
    change(classifier / "tokenizer_config.json", "model_max_length", value=value)
    with pytest.raises(UserError, match=r"tokenizer cannot be loaded|model_max_length is"):
        EmotionClassifier.from_directory(classifier, device="cpu").predict(["so happy"])


def test_a_limit_that_is_written_as_a_fraction(classifier):
    change(classifier / "tokenizer_config.json", "model_max_length", value=64.0)
    assert EmotionClassifier.from_directory(classifier, device="cpu").max_length == 64


def test_a_token_that_the_classifier_does_not_know(classifier):
    word = a_common_word(classifier)
    change(classifier / "tokenizer.json", "model", "vocab", word, value=90_000)
    with pytest.raises(UserError, match="gives the token 90000, its network knows"):
        EmotionClassifier.from_directory(classifier, device="cpu")


def test_a_special_token_that_no_text_comes_to_needs_no_vector(classifier):
    """Gemma 3 of 1B has one for images, beyond its last vector."""
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<picture>"]})
    tokenizer.save_pretrained(classifier)
    EmotionClassifier.from_directory(classifier, device="cpu").predict(["a <picture>"])


def test_a_token_that_the_encoder_of_entities_does_not_know(tmp_path):
    write_tiny_bert(tmp_path / "base")
    encoder = load_encoder(tmp_path / "base", device=torch.device("cpu"))
    heads = Heads(encoder.config.hidden_size, method="vmf", classes=2)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    description = Description("vmf", "tiny", 64, {}, None, ("calm", "rage"))
    folder = tmp_path / "model"
    save_model(folder, EmotionEmbedder(encoder, heads), tokenizer, description)
    GbertPredictor.from_checkpoint(folder, device="cpu").predict("the old map")
    change(folder / "tokenizer.json", "model", "vocab", a_common_word(folder), value=90_000)
    with pytest.raises(UserError, match="gives the token 90000, its network knows"):
        GbertPredictor.from_checkpoint(folder, device="cpu")


@pytest.mark.parametrize("value", [[], [1], "ab", {}])
def test_a_recipe_that_fails_with_the_first_text(tmp_path, value):
    labels = [name for name in CLASSES for _ in range(2)]
    texts = [f"{name} {number}" for number, name in enumerate(labels)]
    pipeline = tfidf.build_pipeline(Tfidf(min_df=1)).fit(texts, labels)
    tfidf.save(pipeline, tmp_path / "model")
    EmotionClassifier.from_directory(tmp_path / "model").predict(["joy"])
    change(tmp_path / "model" / tfidf.SETTINGS_FILE, "recipe", "ngram_range", value=value)
    with pytest.raises(UserError, match="the recipe of a TF-IDF model"):
        EmotionClassifier.from_directory(tmp_path / "model")


@pytest.mark.parametrize("name", ["max_length_s", "sampling_rate"])
@pytest.mark.parametrize("value", [[], "x", float("nan"), None])
def test_a_feature_extractor_with_something_else_than_numbers(tmp_path, name, value):
    write_tiny_clap(tmp_path / "clap")
    change(tmp_path / "clap" / "preprocessor_config.json", name, value=value)
    with pytest.raises(UserError, match=r"preprocessor_config|whose files fit each other"):
        load_audio_encoder("clap", tmp_path / "clap")


@pytest.mark.parametrize("value", [[{}], "x", [1, None, "2"], [[1]], 0.5, True])
def test_ends_of_answers_that_are_no_tokens(tmp_path, value):
    folder = tmp_path / "m"
    write_tiny_qwen3(folder)
    change(folder / "generation_config.json", "eos_token_id", value=value)
    with pytest.raises(UserError, match=r"eos_token_id|cannot be loaded"):
        stop_ids(
            summary_model.load_tokenizer(folder),
            summary_model.load_network(
                folder, dtype=torch.float32, device=torch.device("cpu"), four_bit=False
            ),
        )
