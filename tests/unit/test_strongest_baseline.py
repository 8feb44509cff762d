"""Every score is compared with the strongest trivial baseline on the same items."""

import re
from pathlib import Path

import numpy as np
import pytest

from affectlab.audio import baselines, score_intervals
from affectlab.audio.predictions import Predicted
from affectlab.config.models import Bootstrap
from affectlab.evaluation.classification import Corpus, Predictions, trivial_scores
from affectlab.evaluation.records import strongest
from affectlab.report import words

PACKAGE = Path(__file__).parents[2] / "workflow" / "scripts" / "affectlab"


@pytest.mark.parametrize(("direction", "name"), [("higher", "b"), ("lower", "a")])
def test_the_first_of_the_strongest_is_taken(direction, name):
    candidates = [None, ("a", 0.2), ("b", 0.6), ("c", 0.6 if direction == "higher" else 0.2)]
    assert strongest(direction, candidates)[0] == name
    assert strongest(direction, [None]) is None


def corpus(test_lengths):
    """Half of the training texts of class a are short, those of b are long."""
    labels = {
        "train": {f"t{n}": n % 2 for n in range(40)},
        "test": {f"x{n}": n % 2 for n in range(len(test_lengths))},
    }
    conditions = {
        "train": {"words": [5.0 if n % 2 == 0 else 30.0 for n in range(40)]},
        "test": {"words": test_lengths},
    }
    group = {name: n for n, name in enumerate([*labels["train"], *labels["test"]])}
    return Corpus.of(("a", "b"), labels, group, conditions)


def split_of(known):
    ids = tuple(known.labels["test"])
    labels = np.array(list(known.labels["test"].values()))
    return Predictions(ids, labels, labels, np.eye(2)[labels])


def test_length_that_gives_the_class_away_is_the_baseline():
    known = corpus([4.0, 33.0] * 5)
    found = trivial_scores(split_of(known), known)
    assert found["accuracy"] == ("conditions", 1.0)
    assert found["macro_f1"] == ("conditions", 1.0)
    assert found["nll"][0] == "class_shares"


def test_length_that_does_not_is_none():
    """Lengths of the test texts are swapped, so that the commonest class is the better answer."""
    known = corpus([33.0, 4.0] * 5)
    assert trivial_scores(split_of(known), known)["accuracy"] == ("majority", 0.5)


def test_always_another_class_may_be_the_strongest():
    known = corpus([33.0, 4.0, 4.0])
    ids = tuple(known.labels["test"])
    labels = np.array([1, 1, 0])
    split = Predictions(ids, labels, labels, np.eye(2)[labels])
    constant = Corpus(known.classes, known.labels, known.group, 0, known.prior)
    assert trivial_scores(split, constant)["accuracy"] == ("always_b", pytest.approx(2 / 3))


def test_a_probe_on_duration_is_the_baseline_of_speech():
    labels = np.arange(20) % 2
    names = tuple(f"s{number:02d}" for number in range(20))
    right = np.eye(2)[labels] * 0.8 + 0.1
    weak = right.copy()
    weak[:8] = weak[:8, ::-1]
    made = {
        "grouped": Predicted(names, names, labels, weak[None], None),
        "duration": Predicted(names, names, labels, right[None], None),
        "loudness": Predicted(names[:10], names[:10], labels[:10], right[None, :10], None),
    }
    rivals = baselines.trivial_probes(made, "grouped", ["no", "yes"])
    # Loudness was measured on other items.
    assert len(rivals) == 1
    bootstrap = Bootstrap(resamples=100)
    found = score_intervals.score_scheme(made["grouped"], ["no", "yes"], bootstrap, rivals)[
        "metrics"
    ]
    assert found["uar"]["value"] == 0.6
    assert found["uar"]["baseline"] == {"name": "duration", "value": 1.0}
    assert found["uar"]["below_baseline"]
    ranked = score_intervals.ranking_scores(made["grouped"], bootstrap)
    trivial = [baselines.trivial_scores(labels, 2), *rivals]
    found = score_intervals.with_baselines(ranked, trivial, 0.95)
    assert found["auc"]["baseline"]["name"] == found["pr_auc"]["baseline"]["name"] == "duration"
    published = score_intervals.one_vs_rest_scores(
        made["grouped"], ["no", "yes"], bootstrap, rivals
    )
    assert published["ovr_accuracy_yes"]["baseline"] == {"name": "duration", "value": 1.0}


def test_sentences_name_the_baseline_and_where_the_interval_lies():
    assert words.trivial("duration") == "the duration alone"
    assert words.trivial("always_joy") == "always joy"
    assert words.relation([0.5, 0.7], 0.45) == "above"
    assert words.relation([0.4, 0.7], 0.45) == "not distinguishable from"
    assert words.relation([0.2, 0.4], 0.45) == "below"
    assert words.relation([0.2, 0.6], 0.45) == "not distinguishable from"


@pytest.mark.parametrize("experiment", ["emotion", "face", "summary"])
def test_the_note_below_a_table_claims_no_baseline_but_the_strongest(experiment):
    """The baselines of one table may differ from score to score."""
    text = (PACKAGE / experiment / "report.html.j2").read_text()
    notes = re.findall(r"“Trivial” is ([^.:;]*)", text)
    assert notes
    assert all(
        note.startswith(("the strongest ", "the mean of the training labels")) for note in notes
    )
