"""Names and numbers as readers see them, on the page, on cards and in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from affectlab.evaluation.baseline_names import short_name

SCORES = {
    "accuracy": "accuracy",
    "auc": "AUC",
    "aurc": "area under risk-coverage by kappa",
    "bleu": "BLEU",
    "ccc": "concordance",
    "chrf": "chrF",
    "ece": "calibration error",
    "ece_calibrated": "calibration error, scaled",
    "eq_proxy_mae": '"EQ" proxy, mean absolute error',
    "eq_proxy_r2": '"EQ" proxy, R²',
    "exact_match": "exact match",
    "failed": "items without an answer",
    "iq_proxy_mae": '"IQ" proxy, mean absolute error',
    "iq_proxy_r2": '"IQ" proxy, R²',
    "js_distance": "Jensen-Shannon distance to the soft label",
    "kappa_cosine_gap": "gap between cosine and kappa",
    "kappa_entropy_spearman": "rank correlation of kappa and label entropy",
    "kappa_falls_dropout": "kappa falls with dropped words",
    "kappa_falls_typos": "kappa falls with typos",
    "macro_f1": "macro-F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "mae": "mean absolute error",
    "mean_average_precision": "mean average precision",
    "micro_f1": "micro-F1",
    "nll": "log-loss",
    "nll_calibrated": "log-loss, scaled",
    "non_neutral_accuracy": "accuracy without neutral",
    "non_neutral_precision": "precision without neutral",
    "non_neutral_recall": "recall without neutral",
    "retrieval_map": "retrieval, mean average precision",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "top3_accuracy": "accuracy of the top 3",
    "top5_accuracy": "accuracy of the top 5",
    "uar": "UAR",
    "unsupported_names": "names that are not in the case",
    "unsupported_numbers": "numbers that are not in the case",
    "valid_output": "answers in the right form",
}
"""Scores, where the key with spaces is not what the field calls them."""

BASELINES = {
    "all_classes": "all classes",
    "always_neutral": "always neutral",
    "class_shares": "class shares",
    "commonest_classes": "commonest classes",
    "commonest_set": "commonest label set",
    "drawn_by_shares": "drawn by class shares",
    "lead": "beginning of the case",
    "majority": "commonest class",
    "majority_of_each_class": "classes of most items",
    "nearest": "nearest training case",
    "tail": "end of the case",
    "template": "one answer for all",
    "textrank": "central sentences",
    "training_mean": "training mean",
}
"""Trivial baselines, short enough for a table; `words.BASELINES` has them for sentences."""

PROTOCOLS = {"published": ("□", "published"), "corrected": ("●", "corrected")}
"""Sign and name of a protocol; the sign tells it without colour."""


OF_NUMBERS = ("ccc", "mae")
"""Scores that a record has for each predicted number too, as ``valence_ccc``."""


def score_name(key: str) -> str:
    """A score as the field calls it."""
    return _known_score(key) or key.replace("_", " ")


def _known_score(key: str) -> str | None:
    number, _, kind = key.rpartition("_")
    if number and key not in SCORES and kind in OF_NUMBERS:
        return f"{SCORES[kind]} of {number.replace('_', ' ')}"
    return SCORES.get(key)


def baseline_name(key: str, experiment: str = "") -> str:
    """A trivial baseline for a table.

    Args:
        key: of a record.
        experiment: that it belongs to; conditions of texts are other ones than of recordings.
    """
    return BASELINES.get(key) or short_name(key, experiment)


def term(key: str, experiment: str = "") -> str:
    """A key of a record as the field calls it: a score, a trivial baseline, or plain words."""
    return _known_score(key) or baseline_name(key, experiment)


def number(value: float | None) -> str:
    """A score with three decimals, of a large one fewer; a real minus sign, a dash for none."""
    if value is None:
        return "–"
    digits = 3 if abs(value) < 10 else 1
    return f"{value:z,.{digits}f}".replace("-", "−")


def limits(pair: Sequence[float] | None) -> str:
    """An interval; an en dash between the limits, unless one of them has a minus sign."""
    if pair is None:
        return "no interval"
    low, high = (number(limit) for limit in pair)
    return f"{low} to {high}" if "−" in low + high else f"{low}–{high}"


def signed(value: float) -> str:
    """A difference, with its sign."""
    shown = number(value)
    return shown if shown.startswith("−") else f"+{shown}"


def signed_limits(pair: Sequence[float] | None) -> str:
    """The interval of a difference."""
    return "no interval" if pair is None else " to ".join(map(signed, pair))
