"""Records of scored runs: schemas, baselines, comparison, card, report section."""

import json
import shutil
from pathlib import Path

import pytest
from blocks import changed
from card_checks import check_front_matter
from page_words import raw_keys
from scored_runs import scored_run

from affectlab.config.models import Bootstrap, Lora
from affectlab.errors import DataError
from affectlab.files.io import read_json, write_json
from affectlab.samples.summary import write_longemotion, write_psyqa
from affectlab.summary.answers import read_predictions
from affectlab.summary.audit import write_audit
from affectlab.summary.baselines import write_baseline
from affectlab.summary.card import write_card
from affectlab.summary.cases import read_cases, with_fold
from affectlab.summary.compare import compare
from affectlab.summary.convert import Outputs, convert
from affectlab.summary.evaluate import TRIVIAL, evaluate
from affectlab.summary.report import section
from affectlab.summary.scores import joined, rouge
from affectlab.summary.settings import Block, Split, SummaryRun
from affectlab.summary.side_scores import side_metric

SCHEMAS = Path(__file__).parents[2] / "workflow" / "schemas"
BOOTSTRAP = Bootstrap(resamples=200)
RUNS = {
    "lead": ("lead", "cases"),
    "nearest": ("nearest", "cases"),
    "answer": ("template", "questions"),
}
SPLIT = Split()


def recipe(name):
    method, data = RUNS[name]
    return SummaryRun(method=method, data=data, seeds=[0])


BLOCK = Block(selected=list(RUNS), baseline="lead", runs={name: recipe(name) for name in RUNS})


def score(folder, name, baseline, judge=None, neural=None):
    evaluate(
        scored_run(folder / name / "seed0", recipe(name), name=name, seed=0, bootstrap=BOOTSTRAP),
        records_path=folder / "data" / RUNS[name][1] / "records.jsonl",
        predictions_path=folder / name / "seed0" / "predictions.jsonl",
        details_path=folder / name / "seed0" / "details.jsonl",
        baseline=baseline,
        judge_path=judge,
        neural_path=neural,
        model_languages=(),
        text_path=folder / name / "seed0" / "evaluation_results.txt",
        figures=folder / name / "seed0" / "figures",
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results folder of three baselines on two generated data sets."""
    folder = tmp_path_factory.mktemp("summary")
    for data, layout, write in (
        ("cases", "longemotion", write_longemotion),
        ("questions", "psyqa", write_psyqa),
    ):
        out = folder / "data" / data
        out.mkdir(parents=True)
        write(folder / "raw" / data, cases=40)
        outputs = Outputs(out / "records.jsonl", out / "q.jsonl", out / "description.json")
        convert(folder / "raw" / data, outputs, {"layout": layout}, split=SPLIT)
        write_audit(
            outputs.records, outputs.description, outputs.quarantine, out / "audit.json", {}
        )
    for name, (method, data) in RUNS.items():
        (folder / name / "seed0").mkdir(parents=True)
        write_baseline(
            method,
            records_path=folder / "data" / data / "records.jsonl",
            fold=None,
            predictions_path=folder / name / "seed0" / "predictions.jsonl",
            details_path=folder / name / "seed0" / "details.jsonl",
        )
    lead = folder / "lead" / "seed0"
    for name in RUNS:
        against = ("lead", 0, lead / "predictions.jsonl", lead / "details.jsonl")
        score(folder, name, against if name == "nearest" else None)
    seeds = [folder / name / "seed0" for name in RUNS]
    compare(
        metrics_paths=[seed / "metrics.json" for seed in seeds],
        predictions_paths=[seed / "predictions.jsonl" for seed in seeds],
        details_paths=[seed / "details.jsonl" for seed in seeds],
        records_paths={n: folder / "data" / n / "records.jsonl" for n in ("cases", "questions")},
        folds=dict.fromkeys(RUNS),
        pools={},
        baseline="lead",
        bootstrap=BOOTSTRAP,
        schema=SCHEMAS / "comparison.schema.json",
        output_path=folder / "comparison.json",
    )
    return folder


def metrics(results, name):
    return read_json(results / name / "seed0" / "metrics.json")


def test_lead_is_compared_with_the_strongest_summary_without_a_model(results):
    """On these cases some other summary without a model is better than the beginning."""
    found = metrics(results, "lead")
    for name in ("rouge1", "rouge2", "rouge_l", "bleu", "chrf"):
        entry = found["metrics"][name]
        strongest = entry["baseline"]
        assert strongest["name"] in TRIVIAL
        assert round(strongest["value"], 6) >= round(entry["value"], 6)
        assert entry["below_baseline"] == (strongest["value"] > entry["value"])
        if strongest["name"] == "lead":
            assert entry["value"] == pytest.approx(strongest["value"])
        assert entry["ci"][0] <= entry["value"] <= entry["ci"][1]
    assert any(found["metrics"][name]["below_baseline"] for name in ("rouge1", "rouge2", "bleu"))
    assert found["data"]["n"] == 8
    assert found["details"]["description"]["copy_rate"] > 0.9


def test_references_of_a_like_case_beat_the_beginning_here(results):
    (other,) = metrics(results, "nearest")["comparisons"]
    assert other["with"] == "lead"
    assert other["differences"]["rouge2"]["ci"][0] > 0


def test_one_answer_recalls_a_template(results):
    found = metrics(results, "answer")
    assert found["details"]["references_from_template"]
    assert found["metrics"]["rouge_l"]["value"] > 0.6
    text = (results / "answer" / "seed0" / "evaluation_results.txt").read_text()
    assert "template recall" in text


def test_comparison_pairs_runs_on_the_same_cases_alone(results):
    found = read_json(results / "comparison.json")
    assert [run["run"] for run in found["runs"]] == list(RUNS)
    for entry in found["runs"][0]["metrics"].values():
        if entry["baseline"]:
            assert entry["below_baseline"] == (entry["mean"] < entry["baseline"]["value"])
    # Baselines that no model and no seed takes part in are recipes by themselves.
    assert all(run["seedless"] for run in found["runs"])
    (pair,) = found["pairs"]
    assert pair["compares"] == "recipes"
    assert {pair["first"]["run"], pair["second"]["run"]} == {"lead", "nearest"}
    direct = metrics(results, "nearest")["comparisons"][0]["differences"]["rouge1"]["value"]
    assert pair["differences"]["rouge1"]["value"] == pytest.approx(-direct)


def test_scoring_again_gives_the_same_bytes(results):
    path = results / "answer" / "seed0" / "metrics.json"
    before = path.read_bytes()
    score(results, "answer", None)
    assert path.read_bytes() == before


DATASET = {
    "layout": "longemotion",
    "title": "Cases",
    "version": "1",
    "licence": "MIT",
    "terms": "none",
    "citation": "nobody",
    "sources": [{"kind": "sample", "generator": "longemotion"}],
}
MODEL = {"title": "Tiny", "licence": "MIT", "sources": [{"kind": "hub", "repo": "a/b"}]}


@pytest.mark.parametrize("generated", [True, False])
def test_the_card_warns(results, tmp_path, generated):
    dataset = DATASET if generated else DATASET | {"sources": []}
    run = changed(
        recipe("nearest"),
        method="qlora",
        adapter_scope="answer",
        select_by="rouge_l",
        lora=Lora(rank=4, alpha=8),
    )
    write_json(tmp_path / "audit.json", {"expected": [{"what": "cases", "status": "differs"}]})
    write_card(
        audit_path=tmp_path / "audit.json",
        metrics_path=results / "nearest" / "seed0" / "metrics.json",
        recipe=run,
        dataset=dataset,
        model=MODEL,
        model_manifest_path=tmp_path / "manifest.json",
        card_path=tmp_path / "card.md",
        example_path=tmp_path / "example.py",
        licence_path=tmp_path / "LICENSE.md",
    )
    card = (tmp_path / "card.md").read_text()
    assert "**Do not use it for** diagnosis" in card
    assert "it differs in cases." in card
    assert ("Protect the weights as you protect the cases" in card) != generated
    front = check_front_matter(card).data
    assert front.base_model == "a/b"
    assert front.metrics == ["rouge", "bleu", "chrf"]
    assert "(rank 4, alpha 8) that act on the answer alone to write" in card
    assert "the best answers to held-out cases, by ROUGE-L." in card
    compile((tmp_path / "example.py").read_text(), "example.py", "exec")


def test_the_section_shows_no_text_of_real_cases(results):
    found = section(results, BLOCK, [], ["cases"])
    assert "template recall" in " ".join(found.sentences)
    assert {note.data: note.mark for note in found.notes}["cases"] == "generated data"
    assert {row["run"] for row in found.rows} == set(RUNS)
    prediction = json.loads((results / "lead" / "seed0" / "predictions.jsonl").open().readline())
    page = "".join(found.parts.values())
    assert prediction["predicted_cause"] not in page
    assert raw_keys(page + " ".join(found.sentences)) == set()


def test_what_a_model_wrote_is_shown_of_generated_cases_alone(results, tmp_path):
    folder = tmp_path / "summary"
    shutil.copytree(results, folder, ignore=shutil.ignore_patterns(".*.sha256"))
    seed = folder / "lead" / "seed0"
    record = read_json(seed / "metrics.json") | {"method": "lora"}
    (seed / "metrics.json").write_text(json.dumps(record))
    rows = [json.loads(line) for line in (seed / "details.jsonl").open()]
    (seed / "details.jsonl").write_text(
        "".join(json.dumps(row | {"text": "words of a case"}) + "\n" for row in rows)
    )
    assert "words of a case" in "".join(section(folder, BLOCK, [], ["cases"]).parts.values())
    assert "words of a case" not in "".join(
        section(folder, BLOCK, [], ["questions"]).parts.values()
    )


def side_results(folder):
    """Write the files of a judge and of a scoring model for the 8 cases of the run lead."""
    groups = [str(case) for case in range(8)]
    judge = {
        "metrics": {"judge_score": side_metric("judge_score", [(3.5, 1)] * 8, groups, 0.95)},
        "judge": {
            "model": "strict",
            "prompt": "judge_prompt_v1.txt",
            "failed": 1,
            "errors": ["timed out"],
            "incomplete": 2,
            "score_without_failed": 4.0,
            "fields": {"causes": 4.0},
            "empty_summaries": 0,
        },
        "usage": {"cached": 0, "tokens": 12345, "cost": 0.0247},
        "items": [],
    }
    write_json(folder / "judge.json", judge, sealed=True)
    neural = {"bertscore": side_metric("bertscore", [(0.8, 1)] * 8, groups, 0.95)}
    write_json(folder / "neural.json", {"metrics": neural}, sealed=True)
    return judge


def test_side_results_are_merged_by_the_evaluation(results, tmp_path):
    folder = tmp_path / "summary"
    shutil.copytree(results, folder)
    seed = folder / "lead" / "seed0"
    plain = metrics(folder, "lead")
    judge = side_results(seed)
    score(folder, "lead", None, seed / "judge.json", seed / "neural.json")
    merged = metrics(folder, "lead")
    assert merged["metrics"]["judge_score"]["value"] == 3.5
    assert merged["metrics"]["bertscore"]["value"] == pytest.approx(0.8)
    assert merged["metrics"]["bertscore"]["baseline"] is None
    assert merged.pop("judge") == judge["judge"]
    assert read_json(seed / "run.json")["judge"] == judge["usage"]
    del merged["metrics"]["judge_score"], merged["metrics"]["bertscore"]
    assert merged == plain
    assert "judge_score" in (seed / "evaluation_results.txt").read_text()


@pytest.mark.parametrize("name", ["judge.json", "neural.json"])
def test_a_side_result_of_another_form_is_reported(results, tmp_path, name):
    folder = tmp_path / "summary"
    shutil.copytree(results, folder)
    seed = folder / "lead" / "seed0"
    side_results(seed)
    write_json(seed / name, {"score": 3}, sealed=True)
    with pytest.raises(DataError, match=rf"{name}: expected an object with the key"):
        score(folder, "lead", None, seed / "judge.json", seed / "neural.json")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, "1 failed, 2 without all 15 marks; 12,345 tokens, cost 0.0247"),
        ({"cost": None}, "12,345 tokens"),
        (
            {"cached": 6},
            "12,345 tokens, cost 0.0247, next to 6 of 8 answers that were kept from before",
        ),
    ],
    ids=["all new", "no price", "some kept"],
)
def test_the_section_shows_what_the_judge_cost(results, tmp_path, changes, shown):
    folder = tmp_path / "summary"
    shutil.copytree(results, folder)
    seed = folder / "lead" / "seed0"
    judge = side_results(seed)
    write_json(seed / "judge.json", judge | {"usage": judge["usage"] | changes}, sealed=True)
    score(folder, "lead", None, seed / "judge.json", None)
    html = "".join(section(folder, BLOCK, [], ["cases"]).parts.values())
    assert f"{shown}</dd>" in html
    assert "<dt>judge (strict), 1 to 5, failures as 0</dt><dd>3.5" in html


@pytest.fixture(scope="module")
def pooled(results, tmp_path_factory):
    """What five folds of the nearest references come to, and the arguments of the comparison."""
    folder = tmp_path_factory.mktemp("folds")
    runs = [f"nearest{fold}" for fold in range(SPLIT.folds)]
    records = results / "data" / "cases" / "records.jsonl"
    record = metrics(results, "nearest")
    for fold, run in enumerate(runs):
        write_baseline(
            "nearest",
            records_path=records,
            fold=fold,
            predictions_path=folder / f"{run}.jsonl",
            details_path=folder / f"{run}_details.jsonl",
        )
        write_json(folder / f"{run}.json", record | {"run": run, "comparisons": []})
    arguments = {
        "metrics_paths": [folder / f"{run}.json" for run in runs],
        "predictions_paths": [folder / f"{run}.jsonl" for run in runs],
        "details_paths": [folder / f"{run}_details.jsonl" for run in runs],
        "records_paths": {"cases": records},
        "folds": {run: fold for fold, run in enumerate(runs)},
        "pools": {"nearest_folds": runs},
        "baseline": runs[0],
        "bootstrap": BOOTSTRAP,
        "schema": SCHEMAS / "comparison.schema.json",
        "output_path": folder / "comparison.json",
    }
    compare(**arguments)
    return arguments


def test_folds_together_are_one_estimate_over_all_cases(results, pooled):
    (found,) = read_json(pooled["output_path"])["pools"]
    cases = read_cases(results / "data" / "cases" / "records.jsonl")
    assert found["n"] == len(cases) == 40
    # The mean over all cases, fold by fold, by another road: files of single runs.
    total = 0.0
    for fold, predictions in enumerate(pooled["predictions_paths"]):
        test = [case for case in with_fold(cases, fold) if case.split == "test"]
        said = read_predictions(predictions, test)
        total += sum(
            rouge(
                joined(case.references, case.fields, case.language),
                joined(fields, case.fields, case.language),
                case.language,
            )["rouge2"]
            for case, fields in zip(test, said, strict=True)
        )
    entry = found["metrics"]["rouge2"]
    assert entry["value"] == pytest.approx(total / 40, rel=1e-5)
    assert entry["ci"][0] <= entry["value"] <= entry["ci"][1]


def test_folds_are_held_against_baselines_that_learnt_in_the_same_folds(pooled):
    (found,) = read_json(pooled["output_path"])["pools"]
    assert set(found["baselines"]) == {"lead", "tail", "textrank", "template", "nearest"}
    # The run is that baseline, trained in each fold: no case differs.
    for entry in found["baselines"]["nearest"]["differences"].values():
        assert entry["value"] == 0.0
        # No case differs here, which does not rule out that one of the next does.
        assert entry["ci"][0] == -entry["ci"][1] < 0
    lead = found["baselines"]["lead"]
    assert lead["differences"]["rouge2"]["value"] == pytest.approx(
        found["metrics"]["rouge2"]["value"] - lead["metrics"]["rouge2"]["value"], abs=1e-6
    )


def test_a_missing_fold_is_named(pooled, tmp_path):
    runs = pooled["pools"]["nearest_folds"][:4]
    with pytest.raises(DataError, match="the folds of some do not cover it once"):
        compare(**pooled | {"pools": {"some": runs}, "output_path": tmp_path / "c.json"})
    assert not (tmp_path / "c.json").exists()


def test_the_section_shows_the_folds_together(results, pooled, tmp_path):
    folder = tmp_path / "summary"
    shutil.copytree(results, folder, ignore=shutil.ignore_patterns(".*.sha256"))
    pools = read_json(pooled["output_path"])["pools"]
    write_json(folder / "comparison.json", read_json(folder / "comparison.json") | {"pools": pools})
    found = section(folder, BLOCK, [], ["cases"])
    assert "nearest_folds, all 40 cases of cases by 5 folds" in " ".join(found.sentences)
    assert "Cross-validation" in "".join(found.parts.values())
