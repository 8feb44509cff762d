"""Labels of several annotators: votes, agreement, soft labels in training, cards."""

import csv

import numpy as np
import pytest
import torch
from blocks import changed
from scipy.special import log_softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import nn

from affectlab.datasets.description import Description
from affectlab.datasets.export import export_records
from affectlab.emotion import tfidf
from affectlab.emotion.audit import audit
from affectlab.emotion.convert import Outputs, convert
from affectlab.emotion.data import Data, Record, read_data
from affectlab.emotion.model import collator, cross_entropy_sum
from affectlab.emotion.settings import Tfidf
from affectlab.errors import DataError
from affectlab.evaluation.agreement import agreement
from affectlab.files.io import read_jsonl, write_jsonl

CLASSES = ("anger", "calm", "joy")
ENTRY = {"layout": "table", "columns": {"label": ["r1", "r2", "r3"]}, "split": {"folds": 3}}


def converted(folder, rows, entry=ENTRY, **options):
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    with (raw / "mine.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerows([("text", "r1", "r2", "r3"), *rows])
    names = ("records.jsonl", "quarantine.jsonl", "description.json")
    outputs = Outputs(*(folder / name for name in names))
    convert(raw, outputs, entry, **options)
    return read_data(outputs.records, outputs.description), outputs


def votes_of(*rows):
    """Nine rows without a doubt, and *rows* on top of them."""
    clear = [(f"number {n} is clear", *[CLASSES[n % 3]] * 3) for n in range(9)]
    return [*clear, *((f"doubtful text {n}", *row) for n, row in enumerate(rows))]


# --- conversion


def test_the_label_is_the_class_with_the_most_votes_and_an_empty_cell_is_no_vote(tmp_path):
    data, _ = converted(
        tmp_path, votes_of(("joy", "joy", "calm"), ("", "calm", ""), ("joy", "", ""))
    )
    assert data.classes == CLASSES
    assert data.description.annotators == 3
    first, second, third = data.records[9:]
    assert (first.label, first.votes) == ("joy", {"anger": 0, "calm": 1, "joy": 2})
    assert (second.label, second.votes) == ("calm", {"anger": 0, "calm": 1, "joy": 0})
    assert (third.label, third.votes) == ("joy", {"anger": 0, "calm": 0, "joy": 1})
    np.testing.assert_allclose(data.shares_of([first, second])[0], [0, 1 / 3, 2 / 3])


@pytest.mark.parametrize(("listed", "label"), [(None, "anger"), (["joy", "calm", "anger"], "joy")])
def test_a_tie_goes_to_the_class_that_is_first_in_the_order(tmp_path, listed, label):
    entry = ENTRY if listed is None else ENTRY | {"classes": listed}
    data, _ = converted(tmp_path, votes_of(("joy", "anger", "")), entry)
    assert data.records[9].label == label


def test_an_item_without_any_vote_is_a_bad_record(tmp_path):
    rows = votes_of(("", " ", ""), ("joy", "", ""))
    with pytest.raises(DataError, match=r"mine\.csv, line 11: no annotator gave a label"):
        converted(tmp_path, rows)
    data, outputs = converted(tmp_path, rows, on_bad_record="skip")
    assert len(data.records) == 10
    assert [row["place"] for row in read_jsonl(outputs.quarantine)] == ["line 11"]


def test_an_unknown_class_of_one_annotator_stops_with_its_line(tmp_path):
    with pytest.raises(DataError, match=r"line 11: unknown label 'jolly'"):
        converted(tmp_path, votes_of(("joy", "jolly", "")), ENTRY | {"classes": list(CLASSES)})


def test_spellings_of_a_class_are_merged_before_the_votes_are_counted(tmp_path):
    rows = votes_of(("Joy", "joy", "calm"))
    with pytest.raises(DataError, match="differ in spelling only"):
        converted(tmp_path, rows)
    data, _ = converted(tmp_path, rows, similar_names="merge")
    assert data.records[9].votes == {"anger": 0, "calm": 1, "joy": 2}


def test_records_with_votes_can_be_exported(tmp_path):
    """Also where a class occurs in the last rows alone."""
    rows = votes_of(*[("joy", "joy", "calm")] * 1500, ("fear", "fear", "joy"))
    _, outputs = converted(tmp_path, rows, ENTRY | {"split": {}})
    assert sum(export_records(outputs.records.parent, tmp_path / "out").values()) == 1510


def test_one_annotator_has_no_votes(tmp_path):
    entry = ENTRY | {"columns": {"label": "r1"}}
    data, outputs = converted(tmp_path, votes_of(), entry)
    assert data.description.annotators is None
    assert all("votes" not in row for row in read_jsonl(outputs.records))


@pytest.mark.parametrize(
    "votes",
    [
        {"anger": 0, "calm": 2, "joy": 1},
        {"anger": 0, "calm": 0, "joy": 0},
        {"anger": -1, "calm": 0, "joy": 1},
        {"anger": 0, "calm": 0, "joy": 1.5},
        {"calm": 0, "anger": 0, "joy": 1},
        {"joy": 1},
        {},
    ],
)
def test_records_whose_votes_contradict_their_label_are_refused(tmp_path, votes):
    Description(CLASSES, annotators=3).write(tmp_path / "d.json")
    row = {"id": "1", "text": "a", "label": "joy", "split": "train", "votes": votes}
    write_jsonl(tmp_path / "r.jsonl", [row])
    with pytest.raises(DataError, match="expected a number of votes"):
        read_data(tmp_path / "r.jsonl", tmp_path / "d.json")


# --- agreement


def test_alpha_is_the_one_computed_by_hand():
    """Eight values, 3 for a and 5 for b: observed disagreement 2/8, expected 2*3*5/(8*7)."""
    votes = [{"a": 2}, {"a": 1, "b": 1}, {"b": 2}, {"b": 2}, {"a": 1}]
    found = agreement(votes, ("a", "b"), 2)
    assert found["alpha"] == pytest.approx(1 - (2 / 8) / (30 / 56), abs=1e-6)
    assert (found["annotators"], found["items"], found["votes"]) == (2, 5, 9)
    assert (found["several"], found["unanimous"], found["ties"]) == (4, 0.75, 1)
    assert "alpha of 0.533" in found["sentence"]
    assert "a share of 0.750 of the items" in found["sentence"]
    assert "ceiling of the score" in found["sentence"]


@pytest.mark.parametrize("votes", [[{"a": 1}, {"b": 1}], [{"a": 2}, {"a": 3}], []])
def test_agreement_that_cannot_be_measured_is_reported_as_such(votes):
    found = agreement(votes, ("a", "b"), 3)
    assert found["alpha"] is None
    assert "too few items" in found["sentence"]


def test_the_audit_has_the_agreement_only_of_several_annotators(tmp_path):
    data, _ = converted(tmp_path, votes_of(("joy", "calm", ""), ("joy", "joy", "calm")))
    found = audit(data)["agreement"]
    assert (found["annotators"], found["items"], found["ties"]) == (3, 11, 1)
    single, _ = converted(tmp_path, votes_of(), ENTRY | {"columns": {"label": "r1"}})
    assert "agreement" not in audit(single)


def test_a_class_that_only_a_minority_chose_is_no_reason_to_stop(tmp_path):
    rows = [(f"text {n}", "joy", "joy", "calm") for n in range(12)]
    rows += [(f"word {n}", "anger", "anger", "calm") for n in range(12)]
    data, _ = converted(tmp_path, rows)
    assert audit(data)["counts"]["all"]["classes"] == {"anger": 12, "calm": 0, "joy": 12}


# --- training


class _Fixed(nn.Module):
    """A network whose logits are given."""

    def __init__(self, logits):
        super().__init__()
        self._logits = torch.tensor(logits)

    def forward(self, input_ids, attention_mask):
        return type("Output", (), {"logits": self._logits[input_ids[:, 0]]})()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_cross_entropy_of_the_smoothed_shares(smoothing):
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(5, 3)).astype(np.float32)
    shares = generator.dirichlet([1, 1, 1], size=5).astype(np.float32)
    batch = collator([[n] for n in range(5)], shares, pad_id=0)(np.arange(5))
    loss = cross_entropy_sum(smoothing)(_Fixed(logits), batch)
    aims = (1 - smoothing) * shares + smoothing / 3
    by_hand = -(aims * log_softmax(logits.astype(float), axis=1)).sum()
    assert float(loss) == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_tfidf_on_shares_is_tfidf_on_a_copy_for_each_vote(class_weight):
    """Of three votes each: the copies have three times the loss of the shares."""
    generator = np.random.default_rng(2)
    texts = [" ".join(generator.choice(["red", "sun", "sea", "fog"], 4)) for _ in range(60)]
    counts = generator.multinomial(3, [0.5, 0.3, 0.2], size=60)
    recipe = changed(Tfidf(), class_weight=class_weight, C=2.0)
    ours = tfidf.fit_shares(tfidf.build_pipeline(recipe), texts, counts / 3, CLASSES)

    vectorizer = TfidfVectorizer(min_df=2, sublinear_tf=True).fit(texts)
    copies = [text for text, row in zip(texts, counts, strict=True) for _ in range(row.sum())]
    labels = [CLASSES[k] for row in counts for k in range(3) for _ in range(row[k])]
    other = LogisticRegression(C=2.0 / 3, class_weight=class_weight, max_iter=2000)
    other.fit(vectorizer.transform(copies), labels)
    np.testing.assert_allclose(
        ours.predict_proba(texts), other.predict_proba(vectorizer.transform(texts)), atol=2e-4
    )


def test_shares_of_records_without_votes_are_their_labels():
    data = Data(Description(CLASSES), [Record("1", "a", "joy", "train")])
    assert data.shares_of(data.records).tolist() == [[0, 0, 1]]
