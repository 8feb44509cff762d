"""The table of all runs: verdicts, strips, names, and the commands that make a number again."""

import shlex

import pytest

from affectlab.report.cards import card_of, facts_of
from affectlab.report.display import baseline_name, limits, number, score_name
from affectlab.report.overview import VERDICTS, Place, run_lines, strip_of, verdict_of
from affectlab.report.results import SeedResult

ROW = {
    "kind": "ours",
    "experiment": "emotion",
    "run": "minilm",
    "protocol": "corrected",
    "method": "full",
    "model": "minilm-l6",
    "data": "tweets",
    "split": "test",
    "metric": "accuracy",
    "direction": "higher",
    "value": 0.8,
    "ci_low": 0.7,
    "ci_high": 0.9,
    "n": 1200,
    "baseline": "majority",
    "baseline_value": 0.5,
    "below_baseline": False,
    "headline": True,
}
ERROR = {"metric": "mae", "direction": "lower", "value": 3.0, "ci_low": 2.0, "ci_high": 4.0}
PLACE = Place("../Snakefile", "results")


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "beats"),
        ({"baseline_value": 0.9}, "equal"),
        ({"baseline_value": 0.7}, "equal"),
        ({"baseline_value": 0.91}, "below"),
        ({"baseline": None, "baseline_value": None}, "none"),
        ({"ci_low": None, "ci_high": None}, "equal"),
        ({"ci_low": None, "ci_high": None, "below_baseline": True}, "below"),
        (ERROR | {"baseline_value": 4.5}, "beats"),
        (ERROR | {"baseline_value": 1.5}, "below"),
        (ERROR | {"baseline_value": 3.5}, "equal"),
    ],
)
def test_a_score_is_held_against_its_baseline_by_its_interval(changes, verdict):
    assert verdict_of(ROW | changes, seen=False) == verdict
    assert verdict_of(ROW | changes, seen=True) == "seen"
    assert verdict in VERDICTS


def test_a_strip_has_one_scale_for_shares():
    strip = strip_of(ROW, [0.85])
    assert (strip.value, strip.low, strip.high, strip.baseline) == (80, 70, 90, 50)
    assert (strip.published, strip.scale) == ([85], "")


def test_a_strip_of_other_scores_says_its_scale():
    strip = strip_of(ROW | {"value": -0.5, "ci_low": -0.75, "ci_high": 0, "baseline_value": 0}, [])
    assert (strip.value, strip.low, strip.high, strip.baseline) == (25, 12.5, 50, 50)
    assert strip.scale == "−1.000 to 1.000"
    strip = strip_of(ROW | ERROR | {"baseline_value": 8.0}, [])
    assert (strip.value, strip.baseline, strip.scale) == (37.5, 100, "0.000 to 8.000")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.93149, "0.931"), (-0.5, "−0.500"), (-1e-9, "0.000"), (1234.56, "1,234.6"), (None, "–")],
)
def test_numbers(value, text):
    assert number(value) == text


def test_intervals():
    assert limits((0.9201, 0.9418)) == "0.920–0.942"
    assert limits((-0.2, 0.1)) == "−0.200 to 0.100"
    assert limits(None) == "no interval"


def test_no_raw_key_reaches_a_reader():
    for name in (score_name("macro_f1"), score_name("some_new_score"), baseline_name("new_one")):
        assert "_" not in name


def test_a_command_is_one_line_of_a_shell():
    place = Place("../my tools/Snakefile", "results")
    words = shlex.split(place.command("emotion/minilm/seed13/metrics.json"))
    assert words == [
        *("snakemake", "--cores", "2", "--snakefile", "../my tools/Snakefile"),
        *("--configfile", "results/config.yaml", "--forceall", "--"),
        "results/emotion/minilm/seed13/metrics.json",
    ]


def test_who_withdrew_is_in_a_reader_s_own_configuration_alone():
    words = shlex.split(Place("Snakefile", "results", withdrawn=True).everything)
    start = words.index("--configfile")
    assert words[start + 1 : start + 3] == ["results/config.yaml", "YOUR_CONFIGURATION.yaml"]


@pytest.fixture
def left(tmp_path):
    """What one seed left."""
    folder = tmp_path / "emotion" / "minilm" / "seed13"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text("{}")
    git = {"commit": "a" * 40, "dirty": True}
    return SeedResult(
        folder=folder,
        metrics={
            "run": "minilm",
            "seed": 13,
            "metrics": {"accuracy": {"value": 0.81, "ci": [0.71, 0.9]}},
        },
        run_record={
            "evaluation": {"time": "2026-01-02T03:04:05Z", "git": git},
            "training": {"seconds": 1},
        },
        export=None,
    )


def test_the_line_of_a_run(left):
    macro = ROW | {"metric": "macro_f1", "value": 0.7, "below_baseline": True}
    published = ROW | {"kind": "published", "run": "a paper", "value": 0.85}
    elsewhere = published | {"data": "other"}
    (line,) = run_lines(
        "emotion", "Short texts", [ROW, macro, published, elsewhere], {"minilm": [left]}, [], PLACE
    )
    assert (line.run, line.about, line.protocol) == (
        *("minilm", "minilm-l6 · tweets"),
        ("●", "corrected"),
    )
    assert (line.shown["value"], line.shown["interval"]) == ("0.800", "0.700–0.900")
    assert line.strip.published == [85]
    assert line.words == ("▲", "beats the baseline")
    assert [score.name for score in line.scores] == ["accuracy", "macro-F1"]
    assert [score.flag for score in line.scores] == ["", "below"]
    (seed,) = line.seeds
    assert seed.value == "0.810 (0.710–0.900)"
    assert seed.scored == "2026-01-02, aaaaaaaa"
    assert seed.links == {"metrics": "../emotion/minilm/seed13/metrics.json"}


def test_the_first_screen(left):
    recipe = ROW | {"run": "recipe", "protocol": "published", "value": 0.3}
    lines = run_lines(
        "emotion", "Short texts", [ROW, recipe], {"minilm": [left], "recipe": [left]}, [], PLACE
    )
    card = card_of(lines, "minilm", "Which emotion?", ["A problem.", "Another one."])
    assert (card.line.run, card.published, card.problem) == (
        *("minilm", "recipe 0.300"),
        "A problem.",
    )
    assert card_of(lines, "absent", "Which emotion?", []) is None
    # A run of a baseline or of somebody else's model stores no training.
    untrained = [left.run_record | {"training": nothing} for nothing in (None, {})]
    facts = facts_of(lines, [left.run_record, *untrained])
    assert (facts.runs, facts.trainings, facts.scored) == (2, 1, "2026-01-02")
    assert facts.commits == ["aaaaaaaa with local changes"]
