"""Published numbers: the splits are those measured, and derived numbers fit their sources."""

from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
NUMBERS = {
    entry["id"]: entry
    for entry in yaml.safe_load((PROJECT / "config" / "reference_results.yaml").read_text())
}
REGISTRY = yaml.safe_load((PROJECT / "config" / "datasets.yaml").read_text())
CONFIG = yaml.safe_load((PROJECT / "config" / "config.yaml").read_text())
ENCODERS = ("clap", "qwen2_audio", "afclap")


@pytest.mark.parametrize("name", ["top1", "top3", "top5"])
def test_the_original_measured_entities_of_its_validation_set(name):
    entry = NUMBERS[f"gbert-{name}"]
    assert (entry["split"], entry["n"]) == ("validation", 192)
    # 159 and 161 of 192 entities.
    assert entry["value"] * 192 == pytest.approx(round(entry["value"] * 192), abs=0.01)


def test_no_source_says_of_how_many_entities_the_mean_kappa_is():
    assert NUMBERS["gbert-kappa"]["n"] is None
    assert NUMBERS["gbert-kappa"]["split"] == "validation"


@pytest.mark.parametrize("encoder", ENCODERS)
def test_one_against_rest_accuracies_imply_one_of_three_classes(encoder):
    """A wrong clip is wrong in two of three questions: 3 - sum = 2 (1 - accuracy)."""
    parts = [NUMBERS[f"{encoder}-3emo-{name}"] for name in ("negative", "neutral", "positive")]
    implied = NUMBERS[f"{encoder}-3emo-implied"]
    assert implied["value"] == pytest.approx((sum(p["value"] for p in parts) - 1) / 2, abs=0.0006)
    assert {p["n"] for p in parts} == {implied["n"]}
    assert implied["metric"] == "accuracy"
    assert implied["runs"] == parts[0]["runs"]


def test_the_baseline_of_the_validation_split_is_above_every_published_value():
    majority = NUMBERS["majority-2dep"]
    assert majority["value"] == pytest.approx(68 / 79, abs=0.0005)
    assert majority["n"] == 79
    for encoder in ENCODERS:
        published = NUMBERS[f"{encoder}-2dep"]
        assert published["value"] < majority["value"]
        assert published["runs"][0] in majority["runs"]


def test_numbers_stand_beside_runs_that_exist():
    for entry in NUMBERS.values():
        runs = CONFIG[entry["experiment"]]["runs"]
        overlay = yaml.safe_load((PROJECT / "config" / "cpu.yaml").read_text())
        known = set(runs) | set(overlay[entry["experiment"]].get("runs", {}))
        assert set(entry.get("runs", ())) <= known, entry["id"]
        assert entry["data"] in REGISTRY
