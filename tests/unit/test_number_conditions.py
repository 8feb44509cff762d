"""Conditions of recording that give numbers away, and numbers that are constant per group."""

import logging

import numpy as np
import pytest

from affectlab.datasets.traps import number_traps
from affectlab.evaluation.number_conditions import (
    condition_traps,
    number_giveaways,
    predict_numbers,
)

NAMES = ("valence", "arousal")


def corpus(items=80, subjects=16, seed=0):
    generator = np.random.default_rng(seed)
    return generator, generator.normal(size=(items, 2)), (np.arange(items) % subjects).tolist()


def test_a_length_that_tells_the_arousal_is_reported(caplog):
    generator, values, groups = corpus()
    columns = {
        "seconds": (3 + values[:, 1] + generator.normal(0, 0.3, len(values))).tolist(),
        "format": generator.choice(["wav", "flac"], len(values)).tolist(),
    }
    with caplog.at_level(logging.WARNING):
        found = number_giveaways(columns, values, NAMES, groups, "voices")
    assert found["clear"] == {"arousal": ["seconds", "all"]}
    assert set(found["concordance"]["valence"]) == {"seconds", "format", "all"}
    assert found["concordance"]["arousal"]["seconds"] > 0.8
    assert "voices: recording conditions alone predict arousal" in caplog.text
    (trap,) = condition_traps(found["clear"], "clip")
    assert trap.name == "condition_predicts_number"
    assert "The number arousal can be predicted better than by chance" in trap.sentence
    assert "of a clip alone: seconds. Compare" in trap.sentence


@pytest.mark.parametrize("seed", range(6))
def test_conditions_without_a_relation_are_not(seed, caplog):
    generator, values, groups = corpus(seed=seed)
    columns = {
        "seconds": generator.uniform(1, 3, len(values)).tolist(),
        "rate": generator.choice(["8000", "16000"], len(values)).tolist(),
    }
    assert number_giveaways(columns, values, NAMES, groups, "voices")["clear"] == {}
    assert not caplog.records


def test_a_condition_of_the_subject_is_no_more_than_chance_for_other_subjects():
    """Each subject has a number and a microphone of its own: no other subject shows that."""
    _, _, groups = corpus()
    values = np.random.default_rng(1).normal(size=(16, 2))[groups]
    columns = {"rms_db": [float(group) for group in groups]}
    assert number_giveaways(columns, values, NAMES, groups, "voices")["clear"] == {}


def test_too_few_groups_are_not_checked():
    found = number_giveaways({"seconds": [1.0, 2.0]}, np.eye(2), NAMES, [0, 1], "voices")
    assert found == {"concordance": None, "clear": {}}


def test_numbers_follow_from_a_condition_and_from_a_name_that_training_has():
    train = {"format": ["wav"] * 10 + ["mp3"] * 10}
    values = np.array([[0.0, 1.0]] * 10 + [[5.0, 3.0]] * 10)
    found = predict_numbers(train, values, {"format": ["mp3", "wav"]})
    np.testing.assert_allclose(found, [[5, 3], [0, 1]])


def test_numbers_that_are_constant_for_each_group():
    groups = [f"S{number % 6}" for number in range(24)]
    values = [(number % 6, number) for number in range(24)]
    (trap,) = number_traps(values, groups, NAMES, what="clips", group_name="subject")
    assert trap.name == "number_constant_per_group"
    assert "In 6 of 6 groups by subject, all clips have the same valence" in trap.sentence
