"""Proxy labels: formulas by hand, features by OpenCV on single images, and the check."""

import cv2
import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy

from affectlab.errors import UserError
from affectlab.face import label_check, labels
from affectlab.face.data import Faces
from affectlab.face.faces import CLASSES
from affectlab.face.settings import Labels
from affectlab.face.votes import TAGS
from affectlab.files.io import read_json
from affectlab.samples import face as samples


def parts(**changes):
    fields = {
        "sharpness": 500.0,
        "contrast": 25.0,
        "edges": 0.1,
        "emotion": "happy",
        "valence": 0.5,
        "arousal": -0.25,
        "entropy": np.nan,
    } | changes
    emotion = fields["emotion"]
    return labels.Ingredients(
        image=labels.ImageFeatures(
            *(np.array([fields[name]]) for name in labels.ImageFeatures._fields)
        ),
        emotions=np.array([-1 if emotion is None else CLASSES.index(emotion)]),
        valence=np.array([fields["valence"]]),
        arousal=np.array([fields["arousal"]]),
        entropy=np.array([fields["entropy"]]),
    )


# Each by hand from the formulas: 4 (s - 1/2), s cut off to 0..1.
CASES = [
    # EQ: .5 + .1 + .15*.5 + .15*.75 + .1*(1-.375) + .2*.5 = .95
    # IQ: .5 + .2*.5 + .2*.5 + .1 + .15*.75 + .15*.5 = .9875
    ("original_code", {}, 1.95, 1.8),
    # EQ with entropy log(7)/2: .15*.5 in place of .1 -> .925
    ("original_code", {"entropy": np.log(7) / 2}, 1.95, 1.7),
    # IQ: .5 + 0 + 0 - .05 + .15*.2 + .15*.1 = .495; EQ: .5+.1+.15*.1+.15*.2+.1*.15+0 = .66
    (
        "original_code",
        {"emotion": "fear", "sharpness": 0.0, "contrast": 0.0, "valence": -0.9, "arousal": 0.8},
        -0.02,
        0.64,
    ),
    # Cut off: .5 + .2 + .2 + .15 + .3 = 1.35 -> 1; EQ .5 + .1 + .3 + .1 = 1
    (
        "original_code",
        {"emotion": "neutral", "sharpness": 5e3, "contrast": 90.0, "valence": 0.0, "arousal": 0.0},
        2.0,
        2.0,
    ),
    # Nothing known: EQ .4 + .4*(.4*.1 + .3*1 + .3*.5) = .596; IQ .5 + .1 + .1 + 0 + .3 = 1
    (
        "original_code",
        {"emotion": None, "valence": np.nan, "arousal": np.nan},
        2.0,
        4 * 0.096,
    ),
    # No label, but valence and arousal are known: EQ .5 + .15*.5 + .15*.75 + .1*.625 + .2*.5 = .85
    # IQ: .5 + .1 + .1 + 0 + .15*.75 + .15*.5 = .8875
    ("original_code", {"emotion": None}, 1.55, 1.4),
    # EQ: 0 + .4*(.625 + .625)/2 + .3*.5 = .4; IQ: .4*.5 + .3*.25 + .3*.625 = .4625
    ("documented_weights", {"emotion": None}, -0.15, -0.4),
    # EQ: .3*2/3 + .4*(.625 + .625)/2 + .3*.5 = .6; IQ: .4*.5 + .3*.75 + .3*.625 = .6125
    ("documented_weights", {}, 0.45, 0.4),
    # Nothing but entropy log 7: EQ .3 + .4*(1+1)/2 + 0 = .7; IQ .4*.5 + .3*.25 + .3 = .575
    (
        "documented_weights",
        {"emotion": None, "valence": np.nan, "arousal": np.nan, "entropy": np.log(7)},
        0.3,
        0.8,
    ),
]


@pytest.mark.parametrize(("formulas", "changes", "iq", "eq"), CASES)
def test_formulas_by_hand(formulas, changes, iq, eq):
    found = labels.proxies(parts(**changes), formulas)
    assert [array.item() for array in found] == pytest.approx([iq, eq], abs=1e-12)


def test_an_unknown_formula_is_refused():
    with pytest.raises(ValueError, match="original_code, documented_weights"):
        labels.proxies(parts(), "original")


def test_shown_values_by_hand():
    iq, eq = labels.shown_values(np.array([0.0, 2.0]), np.array([0.0, 2.0]))
    assert iq == pytest.approx([50.0, 100 / (1 + np.exp(-2))])
    assert eq == pytest.approx([64.0, 100.0])


@pytest.mark.parametrize("threads", [1, 3])
def test_features_are_those_of_each_image_alone(threads):
    generator = np.random.default_rng(0)
    images = samples.draw_faces(np.arange(600) % 7, generator)
    # Stripes and noise have edges at the borders, where images lie side by side in memory.
    images[1::4] = 255 * (np.arange(48) // 6 % 2).astype(np.uint8)
    images[2::4] = generator.integers(256, size=images[2::4].shape)
    found = labels.image_features(images, threads)
    for row, image in enumerate(images):
        waves = cv2.Laplacian(image, cv2.CV_64F)
        assert found.sharpness[row] == pytest.approx(waves.var(), rel=1e-9)
        assert found.contrast[row] == pytest.approx(image.std(), rel=1e-9)
        assert found.edges[row] == np.mean(cv2.Canny(image, 50, 150) > 0)
    some = labels.image_features(images, threads, np.arange(600) % 3 == 0)
    assert np.array_equal(some.edges[::3], found.edges[::3])
    assert np.isnan(np.delete(some.edges, np.s_[::3])).all()
    assert np.array_equal(some.sharpness, found.sharpness)


@pytest.mark.parametrize("formulas", labels.FORMULAS)
def test_labels_are_the_same_without_the_edges_that_they_do_not_depend_on(formulas):
    emotions = np.where(np.arange(68) % 2, corpus().emotions, "")
    faces = corpus(emotions=emotions, votes=None, votes_status=None)
    some, every = (labels.ingredients(faces, "auto", all_edges=every) for every in (False, True))
    assert np.array_equal(np.isnan(some.image.edges), emotions != "")
    assert np.array_equal(labels.proxies(some, formulas), labels.proxies(every, formulas))


def test_distribution_and_entropy_of_votes():
    votes = np.zeros((3, len(TAGS)), dtype=np.int64)
    votes[0, TAGS.index("happiness")] = 6
    votes[0, TAGS.index("neutral")] = 2
    votes[0, TAGS.index("contempt")] = 2
    votes[1, TAGS.index("NF")] = 10
    votes[2, TAGS.index("anger")] = 10
    shares = labels.class_distribution(votes)
    assert shares[0, CLASSES.index("happy")] == 0.75
    assert np.isnan(shares[1]).all()
    found = labels.entropy(shares)
    assert found[0] == pytest.approx(scipy_entropy([0.75, 0.25]))
    assert np.isnan(found[1])
    assert found[2] == 0


def corpus(**changes):
    made = samples.make_corpus(0, {"Training": 40, "PublicTest": 14, "PrivateTest": 14})
    fields = {
        "images": made.images,
        "paths": [f"{row}.png" for row in range(len(made.images))],
        "splits": np.repeat(["train", "validation", "test"], [40, 14, 14]),
        "formats": ["png"] * len(made.images),
        "sizes": ["48x48"] * len(made.images),
        "emotions": np.array([samples.CSV_CLASSES[label] for label in made.labels]),
        "affect": None,
        "votes": made.votes,
        "votes_status": np.full(len(made.images), "own"),
    }
    return Faces(**(fields | changes))


def test_valence_and_arousal_come_from_the_first_source_there_is():
    faces = corpus()
    known = labels.class_distribution(faces.votes)
    table = np.array([labels.COORDINATES[name] for name in CLASSES])
    row = int(np.flatnonzero(~np.isnan(known[:, 0]))[0])
    assert labels.affect(faces, "auto")[row] == pytest.approx(known[row] @ table)
    assert labels.affect(faces, "circumplex")[row] == pytest.approx(
        labels.COORDINATES[str(faces.emotions[row])]
    )
    blank = int(np.flatnonzero(np.isnan(known[:, 0]))[0])
    assert labels.affect(faces, "votes")[blank] == pytest.approx(
        labels.COORDINATES[str(faces.emotions[blank])]
    )
    given = np.full((len(faces), 2), 0.3)
    assert labels.affect(corpus(affect=given), "auto") is given
    with pytest.raises(UserError, match="the corpus has no valence and arousal"):
        labels.affect(faces, "metadata")
    with pytest.raises(UserError, match=r"the corpus has no FER\+ votes"):
        labels.affect(corpus(votes=None), "votes")


def table(**changes):
    faces = corpus()
    found = labels.ingredients(faces, "auto")
    iq, eq = labels.proxies(found, "original_code")
    return {
        "image_path": np.array(faces.paths),
        "emotion_label": faces.emotions,
        "valence": found.valence,
        "arousal": found.arousal,
        "iq_proxy": iq,
        "eq_proxy": eq,
        "split": faces.splits,
    } | changes


def test_whole_labels_pass():
    assert label_check.breakage(table(), 0.05) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"emotion_label": np.full(68, "")}, "emotion_label is missing in every one of the 68"),
        ({"valence": np.full(68, np.nan)}, "valence is missing in every one"),
        ({"arousal": np.r_[np.full(10, np.nan), np.zeros(58)]}, "arousal is missing in 10 of 68"),
        ({"valence": np.r_[1.5, np.zeros(67)]}, "valence reaches 1.5, beyond 1"),
        ({"iq_proxy": np.r_[np.nan, np.zeros(67)]}, "iq_proxy is NaN or empty in 1 images"),
        ({"eq_proxy": np.full(68, 1.2)}, "eq_proxy is 1.2 for every image"),
        ({"iq_proxy": np.linspace(-3, 0, 68)}, "iq_proxy reaches 3, beyond 2"),
        ({"emotion_label": np.full(68, "joy")}, "unknown emotions: joy"),
    ],
)
def test_broken_labels_are_told(changes, message):
    assert any(message in reason for reason in label_check.breakage(table(**changes), 0.05))


def written(folder, faces):
    """The files of a corpus and its labels, and how they are checked, by argument."""
    np.save(folder / "faces.npy", faces.images)
    rows = zip(faces.paths, faces.splits, faces.emotions, strict=True)
    lines = [f"{path},{split},{emotion},png,48x48\n" for path, split, emotion in rows]
    header = "image_path,split,emotion_label,format,size\n"
    (folder / "metadata.csv").write_text(header + "".join(lines))
    paths = {name: folder / name for name in ("faces.npy", "metadata.csv", "labels.csv")}
    files = dict(zip(("faces_path", "metadata_path", "labels_path"), paths.values(), strict=True))
    settings = Labels(affect="circumplex")
    labels.write_labels(**files, settings=settings, threads=1)
    return files | {
        "check_path": folder / "check.json",
        "figure": folder / "labels",
        "settings": settings,
        "threads": 1,
    }


def test_the_check_of_a_corpus_is_written(tmp_path):
    faces = corpus(votes=None, votes_status=None)
    label_check.write_check(**written(tmp_path, faces))
    found = read_json(tmp_path / "check.json")
    assert found["images"] == 68
    assert found["missing"] == {"arousal": 0.0, "emotion_label": 0.0, "valence": 0.0}
    assert found["class_means"]["iq_proxy"].keys() == set(CLASSES)
    # Where every image has a label, which one it is enters "IQ" alone.
    shares = found["importance"]
    assert shares["iq_proxy"]["emotions"] > 0
    assert shares["eq_proxy"]["emotions"] == 0
    bonus = [labels.CALM_BONUS[str(name)] for name in faces.emotions]
    expected = np.corrcoef(labels.read_labels(tmp_path / "labels.csv")["iq_proxy"], bonus)[0, 1]
    assert found["correlations"]["iq_proxy"]["emotions"] == pytest.approx(expected, rel=1e-6)
    assert (tmp_path / "labels.png").stat().st_size > 0


def test_the_check_fails_as_the_original_should_have(tmp_path):
    nothing = corpus(emotions=np.full(68, ""), votes=None, votes_status=None)
    with pytest.raises(UserError, match="emotion_label is missing in every one of the 68 images"):
        label_check.write_check(**written(tmp_path, nothing))
    assert not (tmp_path / "check.json").exists()
    assert not (tmp_path / "labels.png").exists()
    arguments = written(tmp_path, corpus(votes=None, votes_status=None))
    text = arguments["metadata_path"].read_text()
    arguments["metadata_path"].write_text(text.replace("3.png", "300.png", 1))
    with pytest.raises(UserError, match=r"the images are not those of .*metadata\.csv"):
        label_check.write_check(**arguments)


def test_correlations_and_importance():
    faces = corpus()
    found = labels.ingredients(faces, "auto")
    described = label_check.describe(table(), {"edges": found.image.sharpness})
    expected = np.corrcoef(table()["iq_proxy"], found.image.sharpness)[0, 1]
    assert described["correlations"]["iq_proxy"]["edges"] == pytest.approx(expected, rel=1e-6)
    shares = label_check.importance(found, "original_code")
    # Canny's edges enter "EQ" only where nothing is known of the emotion.
    assert shares["iq_proxy"]["edges"] == shares["eq_proxy"]["edges"] == 0
    assert shares["iq_proxy"]["entropy"] == 0
    assert shares["eq_proxy"]["entropy"] > 0
    assert shares["eq_proxy"]["sharpness"] == 0
