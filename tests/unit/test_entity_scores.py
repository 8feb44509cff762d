"""Scores of the entity experiment against scikit-learn, scipy and counts made by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.optimize import brentq
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, log_loss

from affectlab.entity import decisions, embedding_scores, scores
from affectlab.entity.labels import CLASSES, NEUTRAL
from affectlab.evaluation import stats

K = len(CLASSES)
RNG = np.random.default_rng(0)
CALIBRATION = {
    "temperature": 1.3,
    "kappa": None,
    "prototypes": np.eye(64)[:K],
}


def distributions(n, sharpness=1.0):
    return RNG.dirichlet(np.full(K, 1.0 / sharpness), size=n)


def unit(n, width=64):
    vectors = RNG.normal(size=(n, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def items(n=120, *, whole_texts=False):
    labels = distributions(n, 6.0)
    if whole_texts:
        labels = np.where(labels >= np.sort(labels, axis=1)[:, [-2]], 0.5, 0.0)
    return scores.Items(
        ids=tuple(map(str, range(n))),
        labels=labels,
        intensity=labels.max(axis=1),
        groups=np.arange(n) // 2,
        probabilities=distributions(n, 4.0),
        embedding=embedding_scores.Embedding(
            kappa=RNG.gamma(5.0, 8.0, size=n),
            mu=unit(n),
            pooled=unit(n, 10),
            corrupted_kappa={name: RNG.gamma(5.0, 8.0, size=n) for name in ("typos", "dropout")},
        ),
        whole_texts=whole_texts,
    )


def all_scores(found):
    calibration = CALIBRATION | {"thresholds": [0.1] * K if found.whole_texts else None}
    table = scores.columns(found, calibration, np.full(K, 1 / K), CLASSES)
    trivial = scores.trivial_scores(table, CLASSES)
    return scores.score(table, np.arange(len(found.labels))), trivial, table


def test_scores_of_spans_agree_with_scikit_learn_and_scipy():
    found = items(24)
    values, trivial, _ = all_scores(found)
    truth, predicted = found.labels.argmax(axis=1), found.probabilities.argmax(axis=1)
    assert values["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    present = np.unique(truth)
    assert set(predicted) - set(present), "a class that is decided on and not in the truth"
    expected = f1_score(truth, predicted, average="macro", labels=present, zero_division=0)
    assert values["macro_f1"] == pytest.approx(expected)
    softened = stats.apply_temperature(found.probabilities, 1.3)
    distance = jensenshannon(softened, found.labels, base=2, axis=1).mean()
    assert values["js_distance"] == pytest.approx(distance)
    weights = found.labels.ravel()
    rows = np.repeat(found.probabilities, K, axis=0)
    expected = log_loss(
        np.tile(np.arange(K), len(truth)), rows, sample_weight=weights, labels=range(K)
    )
    assert values["nll"] == pytest.approx(expected)
    ranks = scipy_stats.spearmanr(
        found.embedding.kappa, scipy_stats.entropy(found.labels, axis=1)
    ).statistic
    assert values["kappa_entropy_spearman"] == pytest.approx(ranks)
    by_size = np.argsort(-found.probabilities, axis=1)
    for k in (1, 3, 5):
        hits = np.mean([t in row[:k] for t, row in zip(truth, by_size, strict=True)])
        assert values[f"top{k}_accuracy"] == pytest.approx(hits)
    assert values["top5_accuracy_as_published"] == values["top3_accuracy"]
    commonest = int(np.bincount(truth).argmax())
    share = pytest.approx(np.mean(truth == commonest))
    assert trivial["accuracy"] == (f"always_{CLASSES[commonest]}", share)
    assert trivial["non_neutral_recall"] == ("always_neutral", 0.0)
    assert trivial["nll"][1] == pytest.approx(np.log(K))


def test_scores_of_sentences_with_several_classes():
    found = items(whole_texts=True)
    values, _, table = all_scores(found)
    truth, decided = found.labels > 0, table["decided"]
    assert values["accuracy"] == pytest.approx(accuracy_score(truth, decided))
    for average in ("macro", "micro"):
        expected = f1_score(
            truth,
            decided,
            average=average,
            labels=np.flatnonzero(truth.any(axis=0)) if average == "macro" else None,
            zero_division=0,
        )
        assert values[f"{average}_f1"] == pytest.approx(expected)


def test_scores_of_non_neutral_targets_by_hand():
    truth = np.eye(K, dtype=bool)[[0, 0, 1, NEUTRAL, NEUTRAL]]
    decided = np.eye(K, dtype=bool)[[0, 1, NEUTRAL, NEUTRAL, 5]]
    f1 = scores.class_f1(truth, decided)
    assert f1[[0, 1, NEUTRAL, 5]] == pytest.approx([2 / 3, 0, 1 / 2, 0])
    assert np.isnan(f1).sum() == K - 4
    emotions = np.stack(scores.non_neutral(truth, decided, NEUTRAL), axis=1)
    found = scores._decision_scores(truth, decided, emotions)
    assert found["non_neutral_accuracy"] == pytest.approx(1 / 3)
    assert found["non_neutral_recall"] == pytest.approx(2 / 3)
    assert found["non_neutral_precision"] == pytest.approx(2 / 3)


def test_scores_of_few_classes_without_a_neutral_one():
    """What only means something of the published classes is left out."""
    found = replace(
        items(40),
        labels=RNG.dirichlet([0.3] * 4, size=40),
        probabilities=RNG.dirichlet([0.5] * 4, size=40),
    )
    calibration = CALIBRATION | {"prototypes": np.eye(64)[:4], "thresholds": None}
    classes = ["awe", "calm", "joy", "rage"]
    table = scores.columns(found, calibration, np.array([0.1, 0.2, 0.3, 0.4]), classes)
    values = scores.score(table, np.arange(40))
    assert not {name for name in values if "neutral" in name or "top5" in name}
    truth = found.labels.argmax(axis=1)
    third = np.argsort(-found.probabilities, axis=1)[:, :3]
    assert values["top3_accuracy"] == pytest.approx((third == truth[:, None]).any(axis=1).mean())
    trivial = scores.trivial_scores(table, classes)
    counts = np.bincount(truth, minlength=4)
    assert trivial["accuracy"] == (f"always_{classes[counts.argmax()]}", counts.max() / 40)
    # The likeliest classes of the training data are rage, joy and calm.
    assert trivial["top3_accuracy"] == ("commonest_classes", pytest.approx((truth > 0).mean()))
    assert set(trivial) <= set(values)


def test_macro_f1_of_a_resample_is_over_the_classes_of_the_whole_split():
    """Else a rare class that a resample lacks would raise the mean, or lower it if it is known."""
    found = replace(items(4), labels=np.eye(K)[[NEUTRAL, NEUTRAL, NEUTRAL, 3]])
    missed = replace(found, probabilities=np.eye(K)[[NEUTRAL] * 4] * 0.9 + 0.1 / K)
    _, _, table = all_scores(missed)
    # Neutral alone: F1 1, and for the class that was not drawn its 0 of the whole split.
    assert scores.score(table, np.array([0, 1, 2, 0]))["macro_f1"] == pytest.approx(1 / 2)
    assert scores.score(table, np.arange(4))["macro_f1"] == pytest.approx(6 / 7 / 2)
    known = replace(found, probabilities=found.labels * 0.9 + 0.1 / K)
    _, _, table = all_scores(known)
    assert scores.score(table, np.array([0, 1, 2, 0]))["macro_f1"] == 1.0


def test_the_area_under_the_risk_coverage_curve_by_hand():
    confidence = np.array([0.9, 0.1, 0.8, 0.4])
    right = np.array([True, False, False, True])
    # Surest first: right, wrong, right, wrong.
    assert embedding_scores.aurc(confidence, right) == pytest.approx(
        (0 + 1 / 2 + 1 / 3 + 2 / 4) / 4
    )
    assert embedding_scores.aurc(confidence, np.array([True] * 4)) == 0.0


def test_items_of_equal_confidence_count_alike_in_any_order():
    right = np.array([True, True, False, False])
    assert embedding_scores.aurc(np.full(4, 0.7), right) == pytest.approx(0.5)
    tied = np.array([0.9, 0.5, 0.5, 0.1])
    for order in ([0, 1, 2, 3], [0, 2, 1, 3], [3, 2, 1, 0]):
        # Surest first: right, half, half, wrong.
        expected = (0 + 0.5 / 2 + 1 / 3 + 2 / 4) / 4
        assert embedding_scores.aurc(tied[order], right[order]) == pytest.approx(expected)


def test_retrieval_agrees_with_average_precision():
    n = 40
    mu, groups = unit(n), np.arange(n)
    classes = RNG.integers(0, 4, size=n)
    classes[classes == 3] = NEUTRAL
    found = embedding_scores.retrieval(mu, np.eye(K, dtype=bool)[classes], groups, NEUTRAL)
    for query in range(n):
        if classes[query] == NEUTRAL:
            assert np.isnan(found[query]).all()
            continue
        others = np.flatnonzero(groups != groups[query])
        similarity, relevant = mu[others] @ mu[query], classes[others] == classes[query]
        assert found[query, 2] == pytest.approx(average_precision_score(relevant, similarity))
        order = np.argsort(-similarity)
        assert found[query, 0] == relevant[order[0]]
        assert found[query, 1] == relevant[order[:5]].any()


def test_a_text_does_not_find_itself():
    mu = np.repeat(unit(10), 2, axis=0)
    classes = np.repeat(np.arange(10), 2)
    found = embedding_scores.retrieval(
        mu, np.eye(K, dtype=bool)[classes], np.repeat(np.arange(10), 2), NEUTRAL
    )
    assert np.isnan(found).all()


def test_prototypes_that_fell_together_are_seen():
    apart = np.eye(4)
    assert embedding_scores.mean_pairwise_cosine(apart) == 0.0
    assert embedding_scores.mean_pairwise_cosine(apart[[0, 0, 0]]) == 1.0
    # Two equal, one at 60 degrees to both: (1 + 1/2 + 1/2) / 3.
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.75**0.5]])
    assert embedding_scores.mean_pairwise_cosine(vectors) == pytest.approx(2 / 3)


def test_the_cosine_gap_is_zero_where_kappa_is_right():
    kappa = np.linspace(1, 100, 50)
    foretold = embedding_scores.mean_cosine(kappa)
    assert embedding_scores.cosine_gap(kappa, foretold, foretold) == 0.0
    assert embedding_scores.cosine_gap(kappa, foretold - 0.2, foretold) == pytest.approx(0.2)


def test_the_scale_of_kappa_is_found_again():
    """Cosines as a true concentration foretells them; the model says its square root."""
    true = RNG.gamma(4.0, 15.0, size=4000)
    scale = decisions.fit_kappa_scale(np.sqrt(true), embedding_scores.mean_cosine(true))
    found = decisions.scaled_kappa(np.sqrt(true), scale)
    np.testing.assert_allclose(found, true, rtol=0.02)


def test_the_concentration_that_goes_with_probabilities():
    """Held against the root of scipy's A_64(kappa) = |sum_c p_c w_c|, prototypes at any angle."""
    probabilities, prototypes = distributions(40, 8.0), unit(K)
    found = decisions.matched_kappa(probabilities, prototypes)
    for row, kappa in zip(probabilities, found, strict=True):
        length = np.linalg.norm((row[:, None] * prototypes).sum(axis=0))
        exact = brentq(lambda k, r=length: embedding_scores.mean_cosine(k) - r, 1e-2, 1e3)
        assert kappa == pytest.approx(exact, rel=0.02)
    sure = decisions.matched_kappa(np.eye(K)[:1], prototypes)
    assert sure == decisions.KAPPA_LIMITS[1], "a probability of 1 has no finite concentration"


def test_a_calibration_joins_both_concentrations():
    kappa, probabilities, prototypes = np.array([9.0, 40.0]), distributions(2), unit(K)
    softened = stats.apply_temperature(probabilities, 2.0)
    matched = decisions.matched_kappa(softened, prototypes)
    given = {"kappa": kappa, "probabilities": probabilities, "prototypes": prototypes}
    scale = {"offset": np.log(3.0), "slope": 2.0}
    found = decisions.calibrated({"temperature": 2.0, "kappa": scale}, **given)
    np.testing.assert_allclose(found[0], softened)
    np.testing.assert_allclose(found[1], 3.0 * kappa * matched)
    found = decisions.calibrated({"temperature": 2.0, "kappa": None}, **given)
    np.testing.assert_allclose(found[0], softened)
    np.testing.assert_array_equal(found[1], kappa)
    assert decisions.calibrated(None, **given) == (probabilities, kappa)


def test_no_other_scale_of_kappa_foretells_the_cosines_better():
    """Held against a grid of scales, with cosines that no scale foretells exactly."""
    rng = np.random.default_rng(5)
    kappa = rng.uniform(20.0, 450.0, size=300)
    cosine = np.where(rng.random(300) < np.exp(-kappa / 100), 0.0, 0.95)

    def error(offset: float, slope: float) -> float:
        scaled = decisions.scaled_kappa(kappa, {"offset": offset, "slope": slope})
        return float(((embedding_scores.mean_cosine(scaled) - cosine) ** 2).mean())

    found = error(**decisions.fit_kappa_scale(kappa, cosine))
    grid = [error(o, s) for s in np.arange(0.2, 6, 0.1) for o in np.arange(-25, 6, 0.25)]
    assert found <= min(grid)
    assert found > 0.01


def test_thresholds_maximise_f1_of_each_class():
    probabilities, truth = distributions(200, 2.0), RNG.random((200, K)) < 0.1
    truth[:, 5] = False
    thresholds = decisions.fit_thresholds(probabilities, truth)
    assert thresholds[5] == 1.0
    for column in (0, 9, NEUTRAL):
        reached = f1_score(truth[:, column], probabilities[:, column] >= thresholds[column])
        best = max(
            f1_score(truth[:, column], probabilities[:, column] >= candidate)
            for candidate in probabilities[:, column]
        )
        assert reached == pytest.approx(best)


def test_a_sentence_always_gets_a_class():
    probabilities = distributions(50, 3.0)
    decided = decisions.decided_classes(probabilities, np.full(K, 0.99))
    assert (decided.sum(axis=1) == 1).all()
    assert (decided.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    assert (decisions.decided_classes(probabilities, None) == decided).all()
    low = decisions.decided_classes(probabilities, np.full(K, 0.1))
    assert (low == (probabilities >= 0.1))[low.sum(axis=1) > 1].all()
    assert low.sum() > len(low)


def test_the_temperature_is_found_again():
    true = distributions(3000, 2.0)
    sharpened = stats.apply_temperature(true, 0.5)
    assert decisions.fit_temperature(sharpened, true) == pytest.approx(2.0, rel=1e-3)


def test_a_text_that_corruption_left_as_it_was_is_no_fall_and_no_rise():
    found = items(4)
    corrupted = found.embedding.kappa + np.array([-1.0, 0.0, 0.0, 2.0])
    embedding = replace(found.embedding, corrupted_kappa={"typos": corrupted})
    found = replace(found, embedding=embedding)
    # One fall, two ties of half a point, one rise.
    assert all_scores(found)[0]["kappa_falls_typos"] == 0.5
    assert "kappa_falls_dropout" not in all_scores(found)[0]
