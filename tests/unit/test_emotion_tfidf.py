import json
import shutil

import numpy as np
import pytest
from blocks import changed

from affectlab.emotion import tfidf
from affectlab.emotion.methods import SEEDLESS
from affectlab.emotion.settings import Tfidf
from affectlab.errors import UserError
from affectlab.samples.emotion import LABELS, make_sentence

pytestmark = pytest.mark.usefixtures("edited_models")

RECIPE = Tfidf(ngram_range=[1, 2], C=10.0, class_weight=None)


@pytest.fixture(scope="module")
def corpus():
    import random

    rng = random.Random(3)
    labels = [rng.choice(LABELS) for _ in range(500)]
    return [make_sentence(rng, label) for label in labels], labels


@pytest.fixture(scope="module")
def fitted(corpus):
    texts, labels = corpus
    return tfidf.build_pipeline(RECIPE, seed=1).fit(texts[:300], labels[:300])


@pytest.fixture
def saved(fitted, tmp_path):
    tfidf.save(fitted, tmp_path / "model")
    return tmp_path / "model"


def test_it_learns(corpus, fitted):
    texts, labels = corpus
    truth = np.array(labels[300:])
    majority = max(np.mean(truth == name) for name in LABELS)
    assert np.mean(fitted.predict(texts[300:]) == truth) > majority + 0.15


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_round_trip_gives_the_same_probabilities(corpus, tmp_path, class_weight):
    texts, labels = corpus
    recipe = changed(RECIPE, class_weight=class_weight)
    fitted = tfidf.build_pipeline(recipe).fit(texts[:300], labels[:300])
    tfidf.save(fitted, tmp_path / "model")
    loaded = tfidf.load(tmp_path / "model")
    unseen = [*texts[300:], "none of these is a zebra quark", ""]
    np.testing.assert_array_equal(loaded.predict_proba(unseen), fitted.predict_proba(unseen))
    np.testing.assert_array_equal(loaded.predict(unseen), fitted.predict(unseen))
    assert list(loaded.classes_) == sorted(LABELS)


def test_fitting_is_that_of_the_pipeline(corpus, fitted):
    texts, labels = corpus
    ours = tfidf.fit(tfidf.build_pipeline(RECIPE, seed=1), texts[:300], labels[:300])
    np.testing.assert_array_equal(ours.predict_proba(texts), fitted.predict_proba(texts))


def test_no_seed_changes_the_model(corpus, fitted):
    """Comparisons take one model of a seedless method for the recipe."""
    texts, labels = corpus
    again = tfidf.build_pipeline(RECIPE, seed=2).fit(texts[:300], labels[:300])
    np.testing.assert_array_equal(
        again.predict_proba(texts[300:]), fitted.predict_proba(texts[300:])
    )
    assert "tfidf" in SEEDLESS


@pytest.mark.parametrize("texts", [["zwei", "worte"], ["a", "\U0001f600"]])
def test_texts_without_a_word_in_common_are_a_clear_error(texts):
    """As where a language puts no spaces between its words, or `min_df` exceeds the corpus."""
    for least in (2, 3):
        pipeline = tfidf.build_pipeline(changed(RECIPE, min_df=least))
        with pytest.raises(UserError, match=f"no word .* occurs in {least} of the 2 texts"):
            tfidf.fit(pipeline, texts, ["joy", "love"])


def test_balanced_classes_favour_the_rare_one():
    texts, labels = ["same words here"] * 10, ["joy"] * 9 + ["love"]
    plain = tfidf.build_pipeline(RECIPE).fit(texts, labels)
    balanced = tfidf.build_pipeline(changed(RECIPE, class_weight="balanced")).fit(texts, labels)
    assert plain.predict_proba(texts)[0] == pytest.approx([0.9, 0.1], abs=0.01)
    assert balanced.predict_proba(texts)[0] == pytest.approx([0.5, 0.5], abs=0.01)


def test_two_classes_round_trip(corpus, tmp_path):
    texts, labels = corpus
    two = [name == "joy" for name in labels]
    names = ["joy" if joy else "other" for joy in two]
    fitted = tfidf.build_pipeline(RECIPE).fit(texts, names)
    tfidf.save(fitted, tmp_path / "model")
    loaded = tfidf.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(texts), fitted.predict_proba(texts))


def test_probabilities_are_those_of_the_formula(saved, fitted):
    """Softmax of coefficients times the unit-length (1 + log tf) idf vector, by hand."""
    from safetensors.numpy import load_file

    text = "i feel glad glad glad"
    settings = json.loads((saved / tfidf.SETTINGS_FILE).read_text())
    weights = load_file(saved / tfidf.WEIGHTS_FILE)
    index = {term: number for number, term in enumerate(settings["terms"])}
    # The default tokenizer drops words of one letter, so the words are: feel glad glad glad.
    counts = {"feel": 1, "glad": 3, "feel glad": 1, "glad glad": 2}
    vector = np.zeros(len(index))
    for term, count in counts.items():
        if term in index:
            vector[index[term]] = (1 + np.log(count)) * weights["idf"][index[term]]
    assert np.count_nonzero(vector) >= 2
    vector /= np.linalg.norm(vector)
    logits = weights["coefficients"] @ vector + weights["intercepts"]
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(fitted.predict_proba([text])[0], expected, rtol=1e-12)


def test_same_data_same_bytes(corpus, tmp_path):
    texts, labels = corpus
    for name in ("a", "b"):
        tfidf.save(tfidf.build_pipeline(RECIPE, seed=1).fit(texts, labels), tmp_path / name)
    for name in (tfidf.SETTINGS_FILE, tfidf.WEIGHTS_FILE):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_no_pickle_is_written(saved):
    names = {"tfidf.json", "tfidf.safetensors", "SHA256SUMS"}
    assert {path.name for path in saved.iterdir()} == names


def test_missing_weights(saved):
    (saved / tfidf.WEIGHTS_FILE).unlink()
    with pytest.raises(UserError, match=r"tfidf\.safetensors: no such file"):
        tfidf.load(saved)


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match=r"tfidf\.json: no such file"):
        tfidf.load(tmp_path / "nothing")


def test_weights_cut_in_half(saved):
    path = saved / tfidf.WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="cut off or corrupt"):
        tfidf.load(saved)


def test_files_of_two_models(corpus, saved, tmp_path):
    texts, labels = corpus
    other = tfidf.build_pipeline(RECIPE).fit(texts, labels)
    tfidf.save(other, tmp_path / "other")
    shutil.copy(tmp_path / "other" / tfidf.WEIGHTS_FILE, saved)
    with pytest.raises(UserError, match="not of the same model"):
        tfidf.load(saved)


@pytest.mark.parametrize(
    ("classes", "problem"),
    [
        (["joy", "joy", "love", "anger", "fear", "surprise"], "expected a list of different texts"),
        (["joy", "love", "anger", "fear", "surprise"], "are not of the same model"),
    ],
)
def test_a_model_whose_classes_do_not_fit_is_not_used(saved, classes, problem):
    from affectlab.emotion.predict import EmotionClassifier

    settings = json.loads((saved / tfidf.SETTINGS_FILE).read_text())
    (saved / tfidf.SETTINGS_FILE).write_text(json.dumps(settings | {"classes": classes}))
    with pytest.raises(UserError, match=problem):
        EmotionClassifier.from_directory(saved)


def test_a_model_of_own_classes_predicts_these(corpus, tmp_path):
    from affectlab.emotion.predict import EmotionClassifier

    texts, labels = corpus
    own = [{"joy": "glücklich", "anger": "10"}.get(label, "andere") for label in labels]
    tfidf.save(tfidf.build_pipeline(RECIPE).fit(texts, own), tmp_path / "model")
    classifier = EmotionClassifier.from_directory(tmp_path / "model")
    assert set(classifier.classes) == {"glücklich", "10", "andere"}
    assert classifier.predict(texts[0]).label in classifier.classes


def test_settings_of_another_format(saved):
    (saved / tfidf.SETTINGS_FILE).write_text('{"format": 99}')
    with pytest.raises(UserError, match="format 1"):
        tfidf.load(saved)


@pytest.mark.parametrize("path", [["terms"], ["recipe", "C"]], ids=" ".join)
def test_settings_without_a_field(saved, path):
    settings = json.loads((saved / tfidf.SETTINGS_FILE).read_text())
    *parents, name = path
    holder = settings
    for parent in parents:
        holder = holder[parent]
    del holder[name]
    (saved / tfidf.SETTINGS_FILE).write_text(json.dumps(settings))
    with pytest.raises(UserError, match=f"lacks '{name}'"):
        tfidf.load(saved)
