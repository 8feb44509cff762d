"""The plan of a macro-F1 of label sets, compared with simulated runs and the actual statistics."""

import numpy as np
import pytest
from simulated_runs import clearly_better, outcomes, two_runs, unequal_groups

from affectlab.audio.data import Clip
from affectlab.audio.label_set_predictions import PredictedSets
from affectlab.audio.label_set_scores import score_label_sets
from affectlab.audio.plan import ProbeLabelSetF1
from affectlab.audio.plan import read_plannable as read_recordings
from affectlab.audio.refits import SharedFolds
from affectlab.config.models import Bootstrap
from affectlab.datasets.description import Description
from affectlab.emotion.multilabel_data import MultilabelRecord
from affectlab.emotion.plan import read_plannable
from affectlab.evaluation import multilabel
from affectlab.evaluation.planned_label_sets import LabelSetF1
from affectlab.evaluation.planning import POWER, Question, make_plan
from affectlab.files.io import write_jsonl

nightly = pytest.mark.nightly
BOOTSTRAP = Bootstrap(resamples=100)

# Items, groups (None: each item alone), classes, expected, correlation within groups.
SETTINGS = [
    (120, None, 3, 0.6, 0.0),
    (300, 40, 5, 0.5, 0.3),
    *(
        pytest.param(items, groups, classes, expected, within, marks=nightly)
        for items in (60, 200, 800)
        for classes in (3, 6, 12)
        for expected in (0.4, 0.6, 0.85)
        for groups, within in ((None, 0.0), (25, 0.0), (25, 0.3), (25, 1.0))
    ),
]


def case(items, groups, classes):
    """A generator, label sets of classes of different frequency, and groups."""
    generator = np.random.default_rng([items, groups or 0, classes])
    shares = np.linspace(0.45, 0.08, classes)
    true = generator.random((items, classes)) < shares
    codes = np.arange(items) if groups is None else unequal_groups(generator, items, groups)
    return generator, true, codes


def predicted(generator, planned, shares, within, kept):
    """Decisions of one run: outcomes of the class by *shares*, those in *kept* are right.

    Classes that an item lacks are predicted as often as one that it has is missed.
    """
    true, codes = planned.true, planned.groups
    decided = np.zeros_like(true)
    for column, own in enumerate(true.T):
        right = np.isin(outcomes(generator, codes, shares, within), kept)
        missed = 1 - sum(shares[place] for place in kept)
        rate = min(missed * own.sum() / max((~own).sum(), 1), 1.0)
        wrong = outcomes(generator, codes, (rate, 1 - rate), within) == 0
        decided[:, column] = np.where(own, right, wrong)
    return decided


@pytest.mark.parametrize(("items", "groups", "classes", "expected", "within"), SETTINGS)
def test_the_planned_width_is_that_of_simulated_runs(
    items, groups, classes, expected, within, record_property
):
    generator, true, codes = case(items, groups, classes)
    planned = LabelSetF1(true, codes)
    question = Question("macro_f1", "the score", planned, expected, "stated")
    [outlook] = make_plan(question, expected=expected, within=within).outlooks
    recall = planned.quality(expected)
    widths, values = [], []
    for _ in range(200):
        decided = predicted(generator, planned, (recall, 1 - recall), within, (0,))
        split = multilabel.LabelSets(
            tuple(map(str, range(items))),
            true,
            decided,
            None,
            None,
            (multilabel.Prior.of(true),) * items,
        )
        found = multilabel.score_split(split, codes.tolist(), BOOTSTRAP)["metrics"]["macro_f1"]
        widths.append(found["ci"][1] - found["ci"][0])
        values.append(found["value"])
    ratio = outlook.width / np.mean(widths)
    record_property("ratio", float(ratio))
    assert ratio == pytest.approx(1, abs=0.1)
    assert np.mean(values) == pytest.approx(expected, abs=0.03)


PROBED = [
    (200, 40, 3, 0.6, 0.0),
    (300, 40, 5, 0.5, 0.3),
    *(
        pytest.param(items, groups, classes, expected, within, marks=nightly)
        for items in (100, 400)
        for groups in (25, 80)
        for classes in (3, 6)
        for expected in (0.4, 0.6, 0.85)
        for within in (0.0, 0.3)
    ),
]


@pytest.mark.parametrize(("items", "groups", "classes", "expected", "within"), PROBED)
def test_the_planned_width_is_that_of_simulated_probes(
    items, groups, classes, expected, within, record_property
):
    """Without refits on halves, which label sets never have."""
    generator, true, codes = case(items, groups, classes)
    planned = ProbeLabelSetF1(true, codes)
    question = Question("macro_f1", "the score", planned, expected, "stated")
    [outlook] = make_plan(question, expected=expected, within=within).outlooks
    recall = planned.quality(expected)
    subjects = tuple(f"s{code}" for code in codes)
    rarest = min(len(set(codes[own].tolist())) for own in true.T)
    ids = tuple(map(str, range(items)))
    widths = []
    for _ in range(100):
        decided = predicted(generator, planned, (recall, 1 - recall), within, (0,))
        one = multilabel.LabelSets(ids, true, decided, None, None, ())
        sets = PredictedSets(subjects, (one,), SharedFolds(5, rarest))
        low, high = score_label_sets(sets, BOOTSTRAP, {})["metrics"]["macro_f1"]["ci"]
        widths.append(high - low)
    ratio = outlook.width / np.mean(widths)
    record_property("ratio", float(ratio))
    assert ratio == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("items", "groups", "classes", "expected", "within"),
    [
        (200, None, 4, 0.6, 0.0),
        *(
            pytest.param(items, groups, classes, expected, within, marks=nightly)
            for items in (150, 600)
            for classes, expected in ((3, 0.6), (8, 0.5))
            for groups, within in ((None, 0.0), (50, 0.3))
        ),
    ],
)
def test_the_smallest_difference_is_found_with_the_planned_power(
    items, groups, classes, expected, within, record_property
):
    generator, true, codes = case(items, groups, classes)
    planned = LabelSetF1(true, codes)
    question = Question("macro_f1", "the score", planned, expected, "stated")
    plan = make_plan(question, expected=expected, within=within)
    first = planned.quality(expected)
    second = planned.quality(expected - plan.outlooks[0].smallest_difference)
    shares = two_runs(first, second, plan.agree)
    trials = 200
    hits = 0
    for seed in range(trials):
        runs = both_runs(generator, planned, shares, within)
        scores = [multilabel.scores(true, one, codes.tolist())["macro_f1"] for one in runs]
        hits += clearly_better(*scores, codes, seed)
    record_property("power", float(hits / trials))
    # 0.75 to 0.85, and two standard errors of 200 trials.
    assert hits / trials == pytest.approx(POWER, abs=0.11)


def both_runs(generator, planned, shares, within):
    """Decisions of two runs that find and miss classes together, by *shares*."""
    true, codes = planned.true, planned.groups
    first, second = np.zeros_like(true), np.zeros_like(true)
    recalls = shares[0] + shares[1], shares[0] + shares[2]
    spread = np.sqrt(np.prod([one * (1 - one) for one in recalls]))
    correlation = (shares[0] - recalls[0] * recalls[1]) / spread
    for column, own in enumerate(true.T):
        drawn = outcomes(generator, codes, shares, within)
        rates = [(1 - one) * own.sum() / (~own).sum() for one in recalls]
        joint = rates[0] * rates[1] + correlation * np.sqrt(
            np.prod([one * (1 - one) for one in rates])
        )
        joint = min(joint, *rates)
        alone = (joint, rates[0] - joint, rates[1] - joint, 1 - sum(rates) + joint)
        wrong = outcomes(generator, codes, alone, within)
        first[:, column] = np.where(own, np.isin(drawn, (0, 1)), np.isin(wrong, (0, 1)))
        second[:, column] = np.where(own, np.isin(drawn, (0, 2)), np.isin(wrong, (0, 2)))
    return first, second


def test_the_score_of_all_classes_is_that_of_the_counts():
    true = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 1, 0]], bool)
    # F1 of always: 2 * 3 / (3 + 4) for both that occur.
    assert LabelSetF1(true, np.arange(4)).all_classes() == pytest.approx(6 / 7)


def test_texts_with_several_classes_have_a_plan(tmp_path):
    records = [
        MultilabelRecord(
            id=str(n),
            text=f"words of text number {n * 7919}",
            labels=("joy",) if n % 2 else ("joy", "fear"),
            split="test",
            group=None,
            fold=None,
        ).to_dict()
        for n in range(40)
    ]
    write_jsonl(tmp_path / "records.jsonl", records)
    Description(("joy", "fear"), target="classes").write(tmp_path / "description.json")
    [part] = read_plannable(tmp_path, {})
    [question] = part.questions
    assert question.name == "macro_f1"
    assert question.expected == pytest.approx((1 + (1 + 2 / 3) / 2) / 2)


def test_texts_without_any_class_have_no_plan(tmp_path):
    record = MultilabelRecord(id="1", text="a text", labels=(), split="test", group=None, fold=None)
    write_jsonl(tmp_path / "records.jsonl", [record.to_dict()])
    Description(("joy", "fear"), target="classes").write(tmp_path / "description.json")
    assert read_plannable(tmp_path, {}) == []


@pytest.mark.parametrize("stated", [True, False])
def test_recordings_with_several_classes_have_a_plan(tmp_path, stated):
    known = [("joy",) if n % 2 else ("joy", "fear") for n in range(40)]
    clips = [
        Clip(f"c{n}", f"c{n}.wav", f"S{n // 4}", {}, None, classes=own if stated else ()).stored()
        for n, own in enumerate(known)
    ]
    write_jsonl(tmp_path / "records.jsonl", clips)
    Description(("joy", "fear"), target="classes").write(tmp_path / "description.json")
    parts = read_recordings(tmp_path, {})
    if not stated:
        assert parts == []
        return
    [question] = parts[0].questions
    assert (parts[0].what, question.name) == ("clips", "macro_f1")
    assert question.expected == pytest.approx((1 + (1 + 2 / 3) / 2) / 2)
    assert question.score.groups.max() == 9
