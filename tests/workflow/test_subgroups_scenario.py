"""Scores by subgroup of a user's own texts: a planted gap is found, and no gap where none is."""

import html
import json
import random

import pytest
from own_texts import rows_of, write_csv
from test_own_summary import spanish

ENTRY = {
    "path": "mine.csv",
    "layout": "table",
    "columns": {"text": "tweet", "label": "emo", "group": "who"},
    "language": "de",
    "split": {"folds": 5},
    "subgroups": ["sex", "device"],
}


def overlay_of(subgroups):
    return {
        "experiments": ["emotion"],
        "datasets": {"mine": {**ENTRY, "subgroups": subgroups}},
        "emotion": {
            "selected": ["words"],
            "bootstrap": {"resamples": 100},
            "label_noise": {"folds": 2},
            "runs": {"words": {"method": "tfidf", "data": "mine", "seeds": [0]}},
        },
    }


def planted(count):
    """Most texts of women have lost the word that tells their class; devices vary freely."""
    generator = random.Random(3)
    for number, row in enumerate(rows_of(count, authors=24)):
        sex = "female" if int(row["who"][1:]) % 2 else "male"
        if sex == "female" and generator.random() < 0.8:
            row["tweet"] = row["tweet"].partition(" ")[2]
        yield {
            **row,
            "sex": "" if number % 50 == 0 else sex,
            "device": generator.choice(["phone", "tablet"]),
            "age": str(20 + number % 4),
        }


def test_a_gap_between_subgroups_is_found(project):
    directory = project.directory("subgroups")
    write_csv(directory, list(planted(480)))
    result = project.snakemake(
        directory=directory,
        overlays=[project.write_overlay("subgroups", overlay_of(["sex", "device"]))],
    )
    assert result.status == 0, result.output
    own = directory / "results" / "emotion" / "words" / "seed0"
    record = json.loads((own / "metrics.json").read_text())
    sex, device = (record["subgroups"][name] for name in ("sex", "device"))
    assert (sex["not_stated"], device["not_stated"]) == (10, 0)
    scores = sex["metrics"]["accuracy"]
    assert sum(one["n"] for one in scores["scores"].values()) == 470
    assert sum(one["groups"] for one in scores["scores"].values()) == 24
    gap = scores["largest_gap"]
    assert (gap["higher"], gap["lower"], gap["pairs"]) == ("male", "female", 1)
    # Four in five texts lack the word; a quarter of these is right by chance.
    low, high = gap["ci"]
    assert 0.2 < low < high < 0.8
    low, high = device["metrics"]["accuracy"]["largest_gap"]["ci"]
    assert low < 0 < high
    whole = record["metrics"]["accuracy"]["value"] * 480
    parts = device["metrics"]["accuracy"]["scores"].values()
    assert abs(sum(one["value"] * one["n"] for one in parts) - whole) < 1e-4
    sentences = (
        "By sex, the largest gap in accuracy is",
        "For 10 items sex is not stated",
        "It includes 0: these items do not show that the score differs between subgroups.",
    )
    shown = (
        html.unescape((directory / "results" / "report" / "index.html").read_text()),
        (own / "model_card.md").read_text(),
        (own / "evaluation_results.txt").read_text(),
    )
    for text in shown:
        for sentence in sentences:
            assert sentence in text
    # Another column trains nothing again.
    more = project.write_overlay("more_subgroups", overlay_of(["sex", "device", "age"]))
    again = project.snakemake("--dry-run", directory=directory, overlays=[more])
    assert again.status == 0, again.output
    assert {"subgroups", "emotion_evaluate"} <= again.rules
    assert not {"emotion_convert", "emotion_tfidf", "emotion_audit"} & again.rules


@pytest.mark.nightly
def test_summaries_have_scores_by_subgroup(project):
    directory = project.directory("subgroups_summary")
    rows = [{**spanish(n), "sex": ("female", "male")[n % 2]} for n in range(40)]
    (directory / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    overlay = {
        "experiments": ["summary"],
        "datasets": {
            "mine": {
                "path": "cases.jsonl",
                "layout": "cases",
                "fields": ["summary"],
                "columns": {"group": "author"},
                "language": "es",
                "split": {"folds": 4},
                "subgroups": ["sex"],
            }
        },
        "summary": {
            "selected": ["first"],
            "baseline": "first",
            "bootstrap": {"resamples": 100},
            "runs": {"first": {"method": "lead", "data": "mine", "seeds": [0]}},
        },
    }
    result = project.snakemake(
        directory=directory, overlays=[project.write_overlay("subgroups_summary", overlay)]
    )
    assert result.status == 0, result.output
    own = directory / "results" / "summary" / "first" / "seed0"
    record = json.loads((own / "metrics.json").read_text())
    parts = record["subgroups"]["sex"]["metrics"]["rouge_l"]["scores"]
    assert sum(one["n"] for one in parts.values()) == record["data"]["n"] == 40
    mean = sum(one["value"] * one["n"] for one in parts.values()) / 40
    assert abs(mean - record["metrics"]["rouge_l"]["value"]) < 1e-6
    sentence = "By sex, the largest gap in ROUGE-L is"
    assert sentence in (directory / "results" / "report" / "index.html").read_text()
    assert sentence in (own / "evaluation_results.txt").read_text()
