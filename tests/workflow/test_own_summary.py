"""Cases of a user's own: from a raw file through `affectlab init` to report, card and model."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from conftest import environment

FOREIGN = re.compile(r"counsel|chinese|psyqa|longemotion|client|FER2013|tweet", re.IGNORECASE)
"""Words that belong to other data."""

PLACES = ("mercado", "puerto", "hospital", "museo", "jardín", "teatro", "colegio", "taller")
THINGS = ("carta", "caja", "llave", "radio", "mesa")

TINY = {
    # A model that states its language, as SmolLM2 does, but trains in seconds.
    "models": {
        "tiny_english": {
            "kind": "causal-lm",
            "title": "A tiny model with random weights",
            "licence": "MIT",
            "languages": ["en"],
            "parameters": 100000,
            "size_mb": 1,
            "sources": [{"kind": "sample", "generator": "qwen2"}],
        }
    },
    "summary": {
        "bootstrap": {"resamples": 100},
        "runs": {
            "cases_smollm2": {
                "model": "tiny_english",
                "max_length": 640,
                "max_answer_tokens": 16,
                "adapter_scope": "all",
                "select_by": "loss",
                "lora": {"rank": 4},
                "training": {"epochs": 1, "precision": "fp32"},
                "generation": {"precision": "fp32"},
            }
        },
    },
}


def spanish(number):
    """One case; its text differs from the others in most of its words."""
    place, thing = PLACES[number % 8], THINGS[number // 8]
    words = " ".join(f"{place[:3]}{thing[:3]}{number}x{step}" for step in range(8))
    return {
        "id": f"c{number}",
        "text": f"Por la mañana fui al {place} con el Sr. Pérez. Allí perdí la {thing}. {words}.",
        "summary": f"Pierde la {thing} en el {place}, caso {number}.",
        "author": f"P{number % 20:02d}",
    }


def proposed(directory, name):
    """Write what `affectlab init` proposes for the file *name*; return it."""
    done = subprocess.run(
        [sys.executable, "-m", "affectlab", "init", "summary", name],
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (directory / "mine.yaml").write_text(done.stdout)
    return yaml.safe_load(done.stdout)


def words_of(html):
    """The text of a page, less its style and pictures."""
    plain = re.sub(r"<style.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
    return " ".join(plain.split())


@pytest.fixture(scope="module")
def trapped(project):
    """The folder of a complete run on 40 cases with a split column, and with traps."""
    directory = project.directory("own_summary")
    rows = [
        spanish(number) | {"split": "test" if number < 10 else "dev" if number < 16 else "train"}
        for number in range(40)
    ]
    rows[0]["text"] = rows[20]["text"]
    rows[21]["text"] = rows[22]["text"] + " ¡Adiós!"
    rows[30]["author"] = "p11"
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    (directory / "cases.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert proposed(directory, "cases.jsonl")["datasets"]["cases"] == {
        "path": "cases.jsonl",
        "layout": "cases",
        "columns": {"group": "author"},
        "fields": ["summary"],
        "language": "es",
        "split": {"column": "split"},
    }
    tiny = project.write_overlay("own_summary", TINY)
    overlays = [project.root / "config" / "demo.yaml", directory / "mine.yaml", tiny]
    result = project.snakemake(directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    return directory


def test_every_planted_trap_is_found(trapped):
    audit = json.loads((trapped / "results/summary/data/cases/audit.json").read_text())
    traps = {trap["name"]: trap["sentence"] for trap in audit["traps"]}
    # The column of splits divides the authors, too.
    names = ("item_in_two_splits", "group_in_two_splits", "near_duplicates")
    assert set(traps) == {*names, "name_in_two_spellings"}
    assert "(test and train: 1)" in traps["item_in_two_splits"]
    assert "1 name is spelled" in traps["name_in_two_spellings"]
    page = words_of((trapped / "results/report/index.html").read_text())
    card = (trapped / "results/summary/cases_smollm2/seed42/model_card.md").read_text()
    assert all(f"cases: {sentence.partition('(')[0]}" in page for sentence in traps.values())
    assert card.count("\n- ") >= 3
    assert "read nearly the same" in card


def test_scores_have_baseline_and_interval(trapped, misfits):
    results = trapped / "results" / "summary"
    for run in ("cases_lead/seed0", "cases_smollm2/seed42"):
        metrics = json.loads((results / run / "metrics.json").read_text())
        score = metrics["metrics"]["rouge1"]
        assert 0 <= score["ci"][0] <= score["value"] <= score["ci"][1] <= 1
        assert score["ci"][0] < score["ci"][1]
        assert score["baseline"]["value"] > 0
        assert list(metrics["details"]["fields"]) == ["summary"]
        assert misfits(results / run / "predictions.jsonl", "summary") == []
    comparison = json.loads((results / "comparison.json").read_text())
    assert comparison["baseline"] == "cases_lead"


def test_report_and_card_tell_of_these_data_alone(trapped):
    page = words_of((trapped / "results/report/index.html").read_text())
    start = page.index("All runs against their baselines")
    section = page[start : page.index("Reading guide", start)]
    card = (trapped / "results/summary/cases_smollm2/seed42/model_card.md").read_text()
    example = (trapped / "results/summary/cases_smollm2/seed42/inference_example.py").read_text()
    assert [FOREIGN.findall(text) for text in (section, card, example)] == [[], [], []]
    for text in (section, card):
        assert "With 10 items the interval of" in text
        assert "made for ‘en’, and these data are in ‘es’" in text
    assert "Data: not stated; terms: not stated." in card


def test_the_model_writes_the_fields_of_the_data(trapped):
    model = trapped / "results/summary/cases_smollm2/seed42/model"
    base = trapped / "resources/models/tiny_english/files"
    command = [
        *(sys.executable, "-m", "affectlab", "predict", "summary", "Hoy fui al mercado."),
        *("--model", str(model), "--base-model", str(base)),
    ]
    for program in (command, [sys.executable, str(model.parent / "inference_example.py")]):
        done = subprocess.run(
            program, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert set(json.loads(done.stdout)) == {"id", "summary"}


def test_folds_are_planned_as_one_estimate(project):
    directory = project.directory("own_summary_folds")
    lines = (json.dumps(spanish(number)) for number in range(40))
    (directory / "cases.jsonl").write_text("\n".join(lines) + "\n")
    assert proposed(directory, "cases.jsonl")["datasets"]["cases"]["split"] == {"folds": 3}
    tiny = project.write_overlay("own_summary_folds", TINY)
    overlays = [project.root / "config" / "demo.yaml", directory / "mine.yaml", tiny]
    result = project.snakemake("-n", directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    jobs = result.jobs
    assert (jobs["summary_train"], jobs["summary_train_fold"]) == (1, 3)
    assert (jobs["summary_generate_fold"], jobs["summary_pool"]) == (3, 1)
    assert "summary_generate" not in jobs
    assert (jobs["summary_baseline"], jobs["summary_evaluate"]) == (1, 2)
