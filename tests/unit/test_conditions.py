"""Conditions of recording that give the class away: tables, warnings, trivial baselines."""

import logging

import numpy as np
import pytest
import soundfile

from affectlab.audio import audit
from affectlab.audio.data import Clip
from affectlab.datasets.texts import likely_language, text_conditions
from affectlab.evaluation import conditions


def corpus(items=60, subjects=15, seed=0):
    generator = np.random.default_rng(seed)
    groups = np.arange(items) % subjects
    labels = np.where(generator.random(items) < 0.5, "calm", "angry").tolist()
    return generator, labels, groups.tolist()


def test_a_rate_of_one_class_only_is_reported(caplog):
    generator, labels, groups = corpus()
    rates = ["8000" if label == "calm" else "48000" for label in labels]
    columns = {"rate": rates, "seconds": generator.uniform(1, 3, len(labels)).tolist()}
    with caplog.at_level(logging.WARNING):
        found = conditions.giveaways(columns, labels, groups, "task label")
    assert found["clear"] == ["rate", "all"]
    assert found["balanced_accuracy"]["rate"] == 1.0
    assert found["by_class"]["calm"]["rate"] == {"8000": labels.count("calm")}
    assert set(found["by_class"]["calm"]["seconds"]) == {"0.05", "0.5", "0.95"}
    assert "task label: recording conditions alone predict the class" in caplog.text
    assert "rate (1.000)" in caplog.text


@pytest.mark.parametrize("seed", range(4))
def test_conditions_without_a_relation_are_not(seed, caplog):
    generator, labels, groups = corpus(seed=seed)
    columns = {
        "format": generator.choice(["wav", "flac"], len(labels)).tolist(),
        "seconds": generator.uniform(1, 3, len(labels)).tolist(),
    }
    assert conditions.giveaways(columns, labels, groups, "task")["clear"] == []
    assert not caplog.records


def test_too_few_subjects_have_a_table_only():
    found = conditions.giveaways({"rate": ["8", "8"]}, ["a", "b"], [0, 1], "task")
    assert found["balanced_accuracy"] is None
    assert found["by_class"] == {"a": {"rate": {"8": 1}}, "b": {"rate": {"8": 1}}}


def test_a_format_that_training_lacks_has_no_column():
    train = {"format": ["wav", "mp3"], "seconds": [1.0, 2.0]}
    test = {"format": ["ogg", "mp3"], "seconds": [1.5, 2.5]}
    assert conditions.encode(test, train).tolist() == [[0, 0, 1.5], [1, 0, 2.5]]


def test_the_class_follows_from_brightness():
    bright = {"brightness": [10.0] * 20 + [200.0] * 20}
    labels = np.repeat([1, 0], 20)
    found = conditions.predict(bright, labels, {"brightness": [9.0, 220.0]}, balanced=True)
    assert found.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I am not sure that this is the one", "english"),
        ("ich bin nicht sicher, ob das die richtige ist", "german"),
        ("je ne suis pas sûr que ce soit le bon", "french"),
        ("今天天气很好", "cjk"),
        ("12 !", "none"),
    ],
)
def test_languages_are_told_apart(text, language):
    assert likely_language(text) == language
    assert text_conditions([text])["characters"] == [float(len(text))]


def test_the_audit_of_speech_warns_of_rates_that_belong_to_a_class(tmp_path, caplog):
    """The records keep rate, channels and format of the original files."""
    generator = np.random.default_rng(0)
    clips, measures = [], []
    for number in range(24):
        calm = number % 2 == 0
        rate, channels = (8000, 1) if calm else (48_000, 2)
        path = tmp_path / f"c{number}.{'wav' if calm else 'flac'}"
        soundfile.write(path, 0.1 * generator.standard_normal((rate // 4, channels)), rate)
        label = {"label": "calm" if calm else "angry"}
        clips.append(Clip(f"c{number}", path.name, f"s{number // 2}", label, None))
        measures.append(audit.measure(path, f"c{number}"))
    assert (measures[1].rate, measures[1].channels, measures[1].format) == (
        48_000,
        2,
        "FLAC PCM_16",
    )
    with caplog.at_level(logging.WARNING):
        found = audit.audit(clips, measures, [], {})["conditions"]["label"]
    assert {"rate", "channels", "format"} <= set(found["clear"])
    assert found["by_class"]["calm"]["rate"] == {"8000": 12}
    assert "task label: recording conditions alone predict the class" in caplog.text
