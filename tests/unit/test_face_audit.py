"""The face audit finds what was planted, and refuses what cannot be used."""

import numpy as np
import pytest

from affectlab.errors import UserError
from affectlab.face import audit
from affectlab.face.data import Faces
from affectlab.face.faces import CLASSES, CSV_CLASSES, USAGES
from affectlab.face.near_images import near_pairs
from affectlab.face.votes import TAGS
from affectlab.files.quarantine import BadRecord
from affectlab.samples import face as samples

COUNTS = {"Training": 60, "PublicTest": 24, "PrivateTest": 24}
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def faces():
    corpus = samples.make_corpus(1, COUNTS)
    return Faces(
        images=corpus.images,
        paths=[f"fer2013.csv#{row + 1}" for row in range(len(corpus.images))],
        splits=np.array([USAGES[usage] for usage in corpus.usages]),
        formats=["csv"] * len(corpus.images),
        sizes=["48x48"] * len(corpus.images),
        emotions=np.array([CSV_CLASSES[label] for label in corpus.labels]),
        affect=None,
        votes=None,
        votes_status=None,
    )


def changed(faces, **changes):
    fields = {name: getattr(faces, name) for name in Faces.__slots__}
    return Faces(**(fields | changes))


def test_planted_defects_are_found(faces):
    found = audit.audit(faces, [], SPLITS, {})
    assert found["blank"]["images"] == samples.BLANKS
    assert found["blank"]["by_split"] == {"train": samples.BLANKS}
    assert found["duplicates"]["groups"] == samples.TWINS
    assert len(found["duplicates"]["conflicting"]) == samples.TWINS // 4
    last = len(faces)
    assert found["overlap"]["test_in_train"] == [
        f"fer2013.csv#{number}" for number in range(last - samples.TWINS + 1, last + 1)
    ]
    assert found["overlap"]["validation_in_train"] == []
    assert found["overlap"]["validation_in_test"] == []
    assert found["near_duplicates"]["by_splits"]["train and validation"] >= samples.NEAR_TWINS - 1
    assert found["counts"]["train"]["images"] == COUNTS["Training"]
    assert found["votes"] is None
    near = found["near_duplicates"]
    assert len(near["listed"]) == near["pairs"]
    assert all(len(set(pair)) == 2 and set(pair) <= set(faces.paths) for pair in near["listed"])
    assert audit.KNOWN_ISSUES["held_out_twins_in_train"](found) == samples.TWINS


def test_where_votes_came_from_is_counted(faces):
    status = np.array(["own"] * (len(faces) - 5) + ["twin"] * 3 + ["none"] * 2)
    votes = np.ones((len(faces), len(TAGS)), np.int64)
    found = audit.audit(changed(faces, votes=votes, votes_status=status), [], SPLITS, {})
    assert found["votes"] == {"own": len(faces) - 5, "twin": 3, "none": 2}


def test_images_are_near_that_differ_in_light_only():
    generator = np.random.default_rng(0)
    images = samples.draw_faces(np.arange(7), generator)
    lighter = np.clip(images * 0.8 + 30, 0, 255).astype(np.uint8)
    pairs = near_pairs(np.concatenate([images, lighter]))
    assert {(i, i + 7) for i in range(7)} <= {tuple(pair) for pair in pairs.tolist()}


def test_expectations_are_held_against_the_findings(faces):
    expected = {
        "counts": {"train": 60, "test": 25},
        "classes": {"happy": int((faces.emotions == "happy").sum())},
        "known_issues": {"blank_images": 3, "test_twins_in_train": 0},
    }
    rows = {
        row["what"]: row["status"] for row in audit.audit(faces, [], SPLITS, expected)["expected"]
    }
    assert rows == {
        "images of train": "ok",
        "images of test": "differs",
        "images of class happy": "ok",
        "blank images": "ok",
        "test twins in train": "differs",
    }
    with pytest.raises(UserError, match="did you mean blank_images"):
        audit.audit(faces, [], SPLITS, {"known_issues": {"blank_image": 1}})


def test_what_cannot_be_used_is_refused(faces):
    unlabelled = changed(faces, emotions=np.full(len(faces), ""))
    with pytest.raises(UserError, match="no image of the split train has a label"):
        audit.audit(unlabelled, [], SPLITS, {})
    empty = changed(faces, splits=np.where(faces.splits == "test", "train", faces.splits))
    with pytest.raises(
        UserError, match=r"the split test has no images; .*result_split: validation"
    ):
        audit.audit(empty, [], SPLITS, {})
    assert audit.audit(empty, [], ("train", "validation"), {})["counts"]["test"]["images"] == 0
    without = changed(faces, emotions=np.where(faces.emotions == "fear", "sad", faces.emotions))
    with pytest.raises(UserError, match="has no image of fear"):
        audit.audit(without, [], SPLITS, {})
    bad = [BadRecord("fer2013.csv", f"record {n}", "cut off") for n in range(40)]
    with pytest.raises(UserError, match="40 of 148 images are bad"):
        audit.audit(faces, bad, SPLITS, {})
    blank = changed(faces, images=np.zeros_like(faces.images))
    with pytest.raises(UserError, match="108 of 108 images are blank"):
        audit.audit(blank, [], SPLITS, {})


def test_classes_are_in_the_order_of_their_ids():
    assert list(CLASSES) == sorted(CLASSES)
