import numpy as np
import pytest

from affectlab.audio import model as models
from affectlab.audio.published import random_split, shared_subjects, train_head
from affectlab.audio.settings import PublishedProbe
from affectlab.config.models import Training
from affectlab.errors import DataError, UserError

TRAINING = Training(
    epochs=15,
    batch_size=8,
    learning_rate=0.01,
    weight_decay=0.0,
    warmup_steps=0,
    schedule="constant",
    max_grad_norm=1e6,
    precision="fp32",
)


def blobs(count=80):
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 2
    return (3.0 * labels[:, None] + generator.standard_normal((count, 6))).astype(
        np.float32
    ), labels


def train(tmp_path, head):
    vectors, labels = blobs()
    return train_head(
        vectors,
        labels,
        2,
        PublishedProbe(head=head, validation_share=0.3, drop_last=True),
        TRAINING,
        seed=0,
        threads=1,
        work_directory=tmp_path / "work",
    )


def test_incomplete_batches_are_dropped_on_both_sides():
    train, validation = random_split(100, 0.3, 16, True, seed=0)
    assert (len(train), len(validation)) == (64, 16)
    assert not set(train) & set(validation)
    train, validation = random_split(100, 0.3, 16, False, seed=0)
    assert sorted([*train, *validation]) == list(range(100))


def test_a_side_without_a_batch_is_named():
    with pytest.raises(UserError, match="20 clips are too few for batches of 16"):
        random_split(20, 0.3, 16, True, seed=0)


def test_subjects_that_were_heard_in_training_are_counted():
    subjects = np.array(["a", "a", "b", "c", "c", "d"])
    train, validation = np.array([0, 3, 5]), np.array([1, 2, 4])
    assert shared_subjects(subjects, train, validation) == pytest.approx(2 / 3)
    # The other clip of c was left out of both sides.
    assert shared_subjects(subjects, train[[0, 2]], validation) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("head", "layers"), [("linear", 1), ("mlp", 4)])
def test_a_head_learns_and_is_stored_as_it_answers(tmp_path, head, layers):
    vectors, labels = blobs()
    found = train(tmp_path, head)
    sides = random_split(len(vectors), 0.3, TRAINING.batch_size, True, seed=0)
    assert [found.train.tolist(), found.validation.tolist()] == [side.tolist() for side in sides]
    right = found.probabilities.argmax(axis=1) == labels[found.validation]
    assert right.mean() > 0.9
    assert len(found.layers) == layers
    facts = dict.fromkeys(models.FIELDS, "any") | {
        "classes": [str(name) for name in np.unique(labels)],
        "statistics": ["mean"],
        "temperature": 1.0,
    }
    stored = models.ProbeModel(np.zeros(6, "f4"), np.ones(6, "f4"), found.layers, facts)
    models.save(stored, tmp_path / "model")
    again = models.load(tmp_path / "model")
    np.testing.assert_allclose(
        again.probabilities(vectors[found.validation]), found.probabilities, atol=1e-5
    )
    assert not (tmp_path / "work").exists()


def test_another_directory_is_no_probe(tmp_path):
    (tmp_path / "probe.json").write_text("{}")
    with pytest.raises(DataError, match="not an audio probe"):
        models.load(tmp_path)
