"""Sentences that claim something are printed only where their condition holds: both sides."""

from types import SimpleNamespace

import numpy as np
import pytest

from affectlab.audio import card as audio_card
from affectlab.audio import report as audio
from affectlab.emotion import report as emotion
from affectlab.entity import report as entity
from affectlab.face import report as face
from affectlab.face.blur import SMALLEST_FALL, mean_fall
from affectlab.report import words
from affectlab.summary import report as summary

INTERVAL = {"level": 0.95}
BASELINE = {"name": "majority", "value": 0.3}


def entry(mean, ci=(0.6, 0.8)):
    return {"mean": mean, "ci": list(ci), "baseline": BASELINE, "below_baseline": False}


def summary_of(run, protocol="corrected", **metrics):
    return {
        "run": run,
        "protocol": protocol,
        "method": "full",
        "model": "m",
        "data": "d",
        "split": "test",
        "n": 200,
        "groups": 200,
        "seeds": [0],
        "interval_covers": "items",
        "metrics": metrics,
    }


# Overlap


@pytest.mark.parametrize(("overlap", "word"), [(0, "unseen "), (1, ""), (5, "")])
def test_items_are_unseen_only_if_none_is_in_training(overlap, word):
    assert words.unseen(overlap, {"traps": [{"name": "near_duplicates"}]}) == word
    sentences = words.overlap_sentences(overlap, "test text")
    assert bool(sentences) is (overlap > 0)
    if overlap == 1:
        assert sentences == ["1 test text is in the training data as well, or nearly the same."]


def test_items_of_known_authors_are_not_unseen():
    assert words.unseen(0, {"traps": [{"name": "group_in_two_splits"}]}) == ""


def emotion_sentences(without, validation=(0.9, 0.8)):
    """Of a run of 200 test texts, *without* of which are left without overlap."""
    means = {"test": 0.7, "test_without_overlap": 0.6}
    runs = {}
    for name, value in zip(("ours", "old"), validation, strict=True):
        splits = {"validation": {"n": 100, "metrics": {"accuracy": {"value": value}}}}
        if without:
            left = {"n": without, "metrics": {"accuracy": {"value": 0.6}}}
            splits["test_without_overlap"] = left
        record = {
            "data": {"split": "test", "n": 200},
            "metrics": {"accuracy": {"value": means["test"]}},
            "other_splits": splits,
        }
        runs[name] = [SimpleNamespace(metrics=record)]
    scores = {"accuracy": entry(0.7), "ece": entry(0.05), "ece_calibrated": entry(0.02)}
    found = SimpleNamespace(
        runs=runs,
        comparison={
            "runs": [
                summary_of("ours", **scores),
                summary_of("old", protocol="published", **scores),
            ],
            "pairs": [],
            "baseline": "old",
            "interval": INTERVAL,
        },
        label_noise={},
        audits={"d": {}},
    )
    return emotion._headline(found, [])


@pytest.mark.parametrize(
    ("without", "unseen", "tail"),
    [
        (200, True, False),
        (195, False, False),
        (0, False, True),
    ],
)
def test_emotion_calls_texts_unseen_only_if_none_is_in_training(without, unseen, tail):
    sentences = emotion_sentences(without)
    assert ("unseen" in sentences[0]) is unseen
    start = "Every scored text is in the training data"
    assert any(one.startswith(start) for one in sentences) is tail


@pytest.mark.parametrize(
    ("validation", "kind"),
    [((0.9, 0.8), "the run with"), ((0.8, 0.9), "the run of the corrected protocol with")],
)
def test_emotion_names_the_best_of_the_corrected_runs_as_such(validation, kind):
    assert f"ours, {kind} the highest validation accuracy" in emotion_sentences(200, validation)[0]


@pytest.mark.parametrize("shared", [[], ["t1", "t2"]])
def test_entity_calls_targets_unseen_only_if_no_text_is_in_training(shared):
    metrics = {name: entry(0.5) for name in ("accuracy", "macro_f1", "non_neutral_accuracy")}
    comparison = {"runs": [summary_of("ours", **metrics)], "interval": INTERVAL}
    values = {"validation": {"nll_calibrated": 1.0}}
    views = [{"run": "ours", "values": values, "record": {"details": {}}}]
    audit = {
        "overlap": {"test_in_train": shared[:1]},
        "near_duplicates": {"overlap": {"test_in_train": shared}},
        "weak_labels": False,
    }
    sentences = entity._headline(comparison, views, {"d": audit}, ["ours"])
    assert ("unseen" in sentences[0]) is not shared
    assert ("2 test texts are in the training data" in " ".join(sentences)) is bool(shared)


@pytest.mark.parametrize("shared", [[], ["1"]])
def test_summary_calls_cases_unseen_only_if_none_is_in_training(shared):
    metrics = {name: entry(0.2) for name in ("rouge2", "rouge_l", "valid_output")}
    run = summary_of("ours", **metrics) | {"method": "lora"}
    record = {
        "data": {"name": "d"},
        "details": {"decoding": "free", "references_from_template": False},
    }
    sentences = summary._headline(
        {"runs": [run], "pairs": [], "baseline": "lead", "interval": INTERVAL},
        {"ours": [SimpleNamespace(metrics=record)]},
        {"d": {"overlap": {"test": shared}}},
    )
    assert ("unseen" in sentences[0]) is not shared
    assert ("1 test case of d is in the training data" in " ".join(sentences)) is bool(shared)


@pytest.mark.parametrize(
    ("method", "words_"),
    [("lead", "No model was trained on whole cases"), ("lora", "No run of the corrected protocol")],
)
def test_summary_says_that_nothing_was_trained_only_if_so(method, words_):
    run = summary_of("old", protocol="published", rouge2=entry(0.2)) | {"method": method}
    record = {"data": {"name": "d"}, "details": {"references_from_template": False}}
    (sentence,) = summary._headline(
        {"runs": [run], "pairs": [], "baseline": "lead", "interval": INTERVAL},
        {"old": [SimpleNamespace(metrics=record)]},
        {"d": {"overlap": {"test": []}}},
    )
    assert sentence.startswith(words_)


# Faces


@pytest.mark.parametrize(
    ("ci", "found"),
    [
        ((0.9, 0.99), "shows recall of these images"),
        ((0.25, 0.4), "not distinguishable from the trivial"),
    ],
)
def test_recall_of_training_images_is_claimed_above_the_baseline_alone(ci, found):
    sentence = face._recall_of_training("old", entry(np.mean(ci), ci))
    assert found in sentence
    assert ("recall" in sentence) is (ci[0] > BASELINE["value"])


NOISE = np.tile([-1.0, 1.0], 100)


@pytest.mark.parametrize(
    ("falls", "expected"),
    [
        (NOISE + 1.0, (False, True)),
        (NOISE + 20.0, (True, False)),
        (NOISE - 20.0, (False, False)),
        # The mean is beyond the threshold, but these few faces do not tell.
        (np.array([-40.0, 60.0, 5.0]), (False, False)),
    ],
)
def test_an_index_falls_or_is_flat_if_its_interval_is(falls, expected):
    found = mean_fall(falls)
    assert (found["falls"], found["flat"]) == expected
    assert found["ci"][0] <= found["value"] <= found["ci"][1]
    assert found["falls"] is (found["ci"][0] >= SMALLEST_FALL)


@pytest.mark.parametrize("formula", [1.0, 20.0])
@pytest.mark.parametrize("network", [1.0, 20.0, -20.0])
def test_the_blur_sentence_claims_what_was_found(formula, network):
    row = {"formula_iq": 50.0, "predicted_iq": 50.0}
    test = {
        "blur": [row, row],
        "formula_iq": mean_fall(NOISE + formula),
        "network_iq": mean_fall(NOISE + network),
    }
    sentence = face._blur_sentence(test)
    assert ("The formula follows" in sentence) is (formula == 20.0)
    assert ("has learnt follows" in sentence) is (network == 20.0)
    assert ("does not follow" in sentence) is (network == 1.0 and formula == 20.0)


# Voices


@pytest.mark.parametrize(("groups", "shown"), [(50, True), (200, False)])
def test_voices_on_both_sides_are_claimed_only_if_subjects_have_several_clips(groups, shown):
    run = summary_of("ours", uar=entry(0.5)) | {"groups": groups}
    record = {
        "data": {"split": "all", "n": 200},
        "metrics": {"uar": {"value": 0.5}},
        "other_splits": {"clip_random": {"n": 200, "metrics": {"uar": {"value": 0.6}}}},
        "details": {"unit": "clip"},
    }
    sentences = audio._headline(
        {"runs": [run], "interval": INTERVAL}, {"ours": [SimpleNamespace(metrics=record)]}
    )
    assert ("voices are on both sides" in " ".join(sentences)) is shown


@pytest.mark.parametrize(
    ("speaker", "tells"),
    [
        (None, False),
        ({"accuracy": 0.06, "chance": 0.05}, False),
        ({"accuracy": 0.5, "chance": 0.05}, True),
    ],
)
def test_an_embedding_is_said_to_name_speakers_only_above_chance(speaker, tells):
    record = {"details": {"speaker": speaker}, "data": {"n": 200}}
    assert audio_card._tells_speakers(record) is tells
