"""Users' own cases: reading, dividing, languages, prompts, traps and the proposed configuration."""

import csv
import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from sacrebleu.metrics import BLEU

from affectlab.config.registries import load_registries, stated
from affectlab.datasets.description import read_description
from affectlab.datasets.overlay import as_yaml
from affectlab.errors import DataError, UserError
from affectlab.evaluation.predictions import pool
from affectlab.experiments import read_config, validate_config
from affectlab.files.io import read_jsonl
from affectlab.summary.answers import parse, target_text, write_predictions
from affectlab.summary.audit import write_audit
from affectlab.summary.baselines import write_baseline
from affectlab.summary.cases import read_cases, read_split, scored_parts
from affectlab.summary.convert import Outputs, convert
from affectlab.summary.layouts import case_of_text, read_requests
from affectlab.summary.overlay import overlay
from affectlab.summary.own_notes import few_cases, unknown_to_model
from affectlab.summary.own_prompts import with_templates
from affectlab.summary.prompts import case_text, instruction, own_template
from affectlab.summary.scores import Answer, bleu_columns, bleu_of_sums, names, rouge
from affectlab.summary.settings import Split, baseline_in_use, mistakes
from affectlab.summary.text import UNKNOWN, default_unit, sentences, tokens

PROJECT = Path(__file__).parents[2]
PLACES = ("mercado", "puerto", "hospital", "museo", "jardín", "teatro", "colegio", "taller")
THINGS = ("carta", "caja", "llave", "radio", "mesa", "silla", "cámara", "maleta")


def spanish(number):
    """One case; texts differ in most of their words."""
    place, thing = PLACES[number % 8], THINGS[number // 8 % 8]
    words = " ".join(f"{place[:3]}{thing[:3]}{number}x{step}" for step in range(8))
    return {
        "id": f"c{number}",
        "text": f"Por la mañana fui al {place} con el Sr. Pérez. Allí perdí la {thing}. {words}.",
        "summary": f"Pierde la {thing} en el {place}, caso {number}.",
    }


def converted(folder, rows, entry=(), **options):
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    (raw / "mine.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    outputs = Outputs(folder / "records.jsonl", folder / "bad.jsonl", folder / "description.json")
    whole = stated("mine", {"layout": "cases", "path": "mine.jsonl", **dict(entry)})
    convert(raw, outputs, whole, split=Split(), **options)
    return outputs


def audited(folder, rows, entry=()):
    out = converted(folder, rows, entry)
    write_audit(out.records, out.description, out.quarantine, folder / "audit.json", {})
    found = json.loads((folder / "audit.json").read_text())
    return found, {trap["name"]: trap["sentence"] for trap in found["traps"]}


# --- reading


def test_texts_and_summaries_are_cases_of_one_field(tmp_path):
    out = converted(tmp_path, map(spanish, range(20)))
    cases = read_cases(out.records)
    assert [case.references for case in cases[:2]] == [
        {"summary": "Pierde la carta en el mercado, caso 0."},
        {"summary": "Pierde la carta en el puerto, caso 1."},
    ]
    assert {case.language for case in cases} == {"es"}
    assert {case.split for case in cases} == {"train", "validation", "test"}
    described = read_description(out.description)
    assert (described.classes, described.target) == (("summary",), "texts")
    assert (described.language, described.group, described.seed) == ("es", "content", 0)


def test_fields_and_columns_of_ones_own(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    with (raw / "mine.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["nr", "story", "cause", "effect", "who"])
        for number in range(12):
            text = spanish(number)["text"]
            table.writerow([number, text, f"causa {number}", f"efecto {number}", f"P{number % 6}"])
    outputs = Outputs(tmp_path / "r", tmp_path / "q", tmp_path / "d")
    columns = {"id": "nr", "text": "story", "cause": "cause", "group": "who"}
    entry = {"layout": "cases", "columns": columns, "fields": ["cause", "effect"]}
    convert(raw, outputs, entry | {"split": {"folds": 3}}, split=Split())
    cases = read_cases(outputs.records)
    assert cases[3].references == {"cause": "causa 3", "effect": "efecto 3"}
    assert [case.subject for case in cases[:2]] == ["P0", "P1"]
    assert read_description(outputs.description).group == "who"
    folds = {}
    for case in cases:
        folds.setdefault(case.subject, set()).add(case.fold)
    assert all(len(own) == 1 for own in folds.values())
    assert {case.fold for case in cases} == {0, 1, 2}


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ({"id": "x", "text": "Hola a todos."}, "missing field summary"),
        ({"id": "x", "text": " ", "summary": "a"}, "text: is empty"),
        ({"id": "x", "text": 3, "summary": "a"}, "text: expected a string, found the number 3"),
        ({"id": "x", "text": "a", "summary": None}, "summary: expected a string"),
        ({"id": "x", "text": "a", "summary": "b\0"}, "summary: holds a NUL"),
        ({**spanish(40), "id": "c0"}, "the id 'c0'"),
        ("{", "not valid JSON"),
    ],
)
def test_a_bad_row_has_file_place_and_expectation(tmp_path, bad, problem):
    rows = [*map(spanish, range(20)), bad]
    with pytest.raises(DataError, match=r"mine\.jsonl, line 21: ") as raised:
        converted(tmp_path, rows)
    assert problem in str(raised.value)
    out = converted(tmp_path, rows, on_bad_record="skip")
    assert len(read_cases(out.records)) == 20
    (row,) = read_jsonl(out.quarantine)
    assert (row["file"], row["place"]) == ("mine.jsonl", "line 21")
    assert problem in row["problem"]


def test_splits_of_a_column_stay_as_they_are(tmp_path):
    given = ["train"] * 8 + ["dev"] * 2 + ["test"] * 2
    rows = [spanish(number) | {"part": split} for number, split in enumerate(given)]
    out = converted(tmp_path, rows, {"split": {"column": "part"}})
    found = [case.split for case in read_cases(out.records)]
    assert found == [name.replace("dev", "validation") for name in given]


def test_the_language_of_the_entry_counts(tmp_path):
    out = converted(tmp_path, map(spanish, range(20)), {"language": "ca"})
    assert {case.language for case in read_cases(out.records)} == {"ca"}


# --- languages


def test_short_texts_have_the_language_of_the_others(tmp_path):
    rows = [spanish(number) for number in range(12)]
    rows[2]["text"], rows[7]["text"] = "Hola.", "¡Qué feliz!"
    _, traps = audited(tmp_path, rows, {"split": {"folds": 3}})
    assert {case.language for case in read_cases(tmp_path / "records.jsonl")} == {"es"}
    assert not {"language_smaller_than_folds", "language_unknown"} & set(traps)


def test_texts_that_are_all_too_short_have_no_language(tmp_path):
    rows = [spanish(number) | {"text": f"x{number} ok"} for number in range(12)]
    _, traps = audited(tmp_path, rows, {"split": {"folds": 3}})
    assert {case.language for case in read_cases(tmp_path / "records.jsonl")} == {UNKNOWN}
    assert read_description(tmp_path / "description.json").language is None
    assert "language_unknown" in traps
    assert "language_smaller_than_folds" not in traps


def test_words_and_sentences_fit_the_script():
    assert tokens("हिन्दी में लिखा।", "hi") == ["हिन्दी", "में", "लिखा"]
    assert tokens("El Señor Pérez, ¿vino?", "es") == ["el", "señor", "pérez", "vino"]
    assert tokens("ไปดี ABC1", "th") == ["ไ", "ป", "ดี", "abc1"]
    assert tokens("今日はNHKを見た", "ja") == ["今", "日", "は", "nhk", "を", "見", "た"]
    assert tokens("می‌روم خانه", "fa") == ["می‌روم", "خانه"]
    assert [default_unit(name) for name in ("es", "hi", "th", "ja", UNKNOWN)] == [
        *("words", "words", "characters", "characters", "words")
    ]
    assert sentences("Vino el Sr. Pérez. Luego habló.\nFin", "es") == [
        "Vino el Sr. Pérez.",
        "Luego habló.",
        "Fin",
    ]


def test_scores_count_what_a_language_writes():
    assert rouge("हिन्दी में", "हिन्दी में", "hi")["rouge1"] == 1.0
    # Without their vowels these two words are the same letters.
    assert rouge("का", "की", "hi")["rouge1"] == 0.0
    assert rouge("今日は晴れ", "明日は晴れ", "ja")["rouge1"] == pytest.approx(4 / 5)
    sums = bleu_columns("今日は晴れです", "今日は晴れます", "ja")
    expected = BLEU(tokenize="char", effective_order=True)
    theirs = expected.sentence_score("今日は晴れます", ["今日は晴れです"]).score
    assert bleu_of_sums(sums) == pytest.approx(theirs / 100)


def test_names_are_no_nouns():
    assert names("Ayer vino Marta Gil a casa.", "es") == ["Marta Gil"]
    assert names("Gestern kam der Zug.", "de") == []


# --- prompts, answers, models


def test_prompts_name_the_fields_and_nothing_else():
    one = case_of_text(1, "Hola.", ("summary",))
    two = case_of_text(2, "Hola.", ("cause", "effect"))
    assert case_text(one) == "Hola."
    for case, names_ in ((one, "summary"), (two, "cause, effect")):
        shown = instruction("Hola.", case.task, "v1", "es", own_template(case, "v1", None))
        assert names_ in shown
        assert "Hola." in shown
        assert "{" not in shown
        assert "counsel" not in shown
    own = own_template(two, "v1", "Lee: {text} Escribe {field}.")
    assert instruction("{field}", "own", "v1", "es", own) == "Lee: {field} Escribe cause, effect."


def test_a_single_field_is_written_as_plain_text():
    assert target_text({"summary": "Corto."}) == "Corto."
    assert parse(" Corto. ", ("summary",)) == Answer({"summary": "Corto."}, True)
    assert json.loads(target_text({"a": "x", "b": "y"})) == {"a": "x", "b": "y"}


def test_predictions_have_the_fields_of_the_data(tmp_path):
    path = PROJECT / "workflow" / "schemas" / "predictions_summary.schema.json"
    validator = Draft202012Validator(json.loads(path.read_text()))
    case = case_of_text("c1", "Hola.", ("cause", "effect"))
    answer = Answer({"cause": "x", "effect": ""}, False)
    write_predictions(tmp_path / "p.jsonl", [case], [answer])
    (row,) = read_jsonl(tmp_path / "p.jsonl")
    assert row == {"id": "c1", "cause": "x", "effect": ""}
    assert validator.is_valid(row)
    assert not validator.is_valid({"id": "c1"})
    assert not validator.is_valid(row | {"predicted_cause": "x"})
    assert not validator.is_valid(row | {"cause": 3})


def test_requests_are_texts(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"id": 1, "text": "Hola."}\n{"id": 2}\n')
    problems = []
    (case,) = read_requests(path, ("summary",), lambda *problem: problems.append(problem))
    assert (case.id, case.text, case.fields) == ("1", "Hola.", ("summary",))
    assert problems == [(f"{path}, line 2", "missing field text")]


# --- cross-validation


def test_each_case_is_scored_once_without_its_fold(tmp_path):
    out = converted(tmp_path, map(spanish, range(12)), {"split": {"folds": 3}})
    parts = scored_parts(out.records, None)
    assert sorted(case.id for _, test in parts for case in test) == sorted(
        f"c{number}" for number in range(12)
    )
    for train, test in parts:
        assert not {case.fold for case in train} & {case.fold for case in test}
    assert len(read_split(out.records, "test", None)) == 12
    paths = {"predictions_path": tmp_path / "p", "details_path": tmp_path / "d"}
    write_baseline("nearest", records_path=out.records, fold=None, **paths)
    own = {case.id: case.references["summary"] for case in read_cases(out.records)}
    rows = list(read_jsonl(tmp_path / "p"))
    assert len(rows) == 12
    # The nearest case is another one, and every reference names its case.
    assert all(row["summary"] != own[row["id"]] for row in rows)


def test_folds_are_pooled(tmp_path):
    for fold in range(2):
        (tmp_path / f"{fold}.jsonl").write_text(f'{{"id": "c{fold}", "summary": "x"}}\n')
    pool([tmp_path / "0.jsonl", tmp_path / "1.jsonl"], tmp_path / "all.jsonl")
    assert [row["id"] for row in read_jsonl(tmp_path / "all.jsonl")] == ["c0", "c1"]


# --- traps


def test_good_data_have_no_traps(tmp_path):
    _, traps = audited(tmp_path, map(spanish, range(24)))
    assert traps == {}


def test_a_text_in_two_splits(tmp_path):
    given = ["train"] * 8 + ["dev"] * 2 + ["test"] * 2
    rows = [spanish(number) | {"part": split} for number, split in enumerate(given)]
    rows[11]["text"] = rows[0]["text"].upper()
    found, traps = audited(tmp_path, rows, {"split": {"column": "part"}})
    assert found["overlap"] == {"validation": [], "test": ["c11"]}
    assert "(test and train: 1)" in traps["item_in_two_splits"]


def test_a_near_duplicate(tmp_path):
    rows = [spanish(number) for number in range(12)]
    rows.append({**rows[0], "id": "copy", "text": rows[0]["text"] + " ¡Adiós!", "summary": "Otro."})
    _, traps = audited(tmp_path, rows)
    assert traps["near_duplicates"].startswith("1 group of cases")


def test_a_near_duplicate_across_folds_and_splits(tmp_path):
    rows = [spanish(number) | {"part": "train"} for number in range(12)]
    rows[10]["part"], rows[11]["part"] = "dev", "test"
    rows[11]["text"] = rows[0]["text"] + " ¡Adiós!"
    _, traps = audited(tmp_path, rows, {"split": {"column": "part"}})
    scored = "A trained model is scored once on such a copy of what it learnt from."
    assert traps["near_duplicates"].endswith(scored)
    rows[11]["part"], rows[9]["part"] = "train", "test"
    _, traps = audited(tmp_path, rows, {"split": {"column": "part"}})
    assert "A model is scored" not in traps["near_duplicates"]
    _, traps = audited(tmp_path, rows, {"split": {"folds": 3}})
    folds = {case.id: case.fold for case in read_cases(tmp_path / "records.jsonl")}
    # Of three folds one is trained on: that behind the one that chooses the weights.
    trained_on = (folds["c0"] + 2) % 3 == folds["c11"] or (folds["c11"] + 2) % 3 == folds["c0"]
    assert ("A model is scored once" in traps["near_duplicates"]) == trained_on


def test_a_subject_in_two_spellings(tmp_path):
    rows = [spanish(number) | {"group": f"P{number}"} for number in range(12)]
    rows[5]["group"] = "p4 "
    found, traps = audited(tmp_path, rows)
    assert "1 name is spelled" in traps["name_in_two_spellings"]
    splits = {case.id: case.split for case in read_cases(tmp_path / "records.jsonl")}
    assert splits["c4"] == splits["c5"]
    assert sum(part["cases"] for part in found["counts"].values()) == 12


def test_a_reference_that_tells_the_subject(tmp_path):
    rows = [
        spanish(number) | {"group": f"P{number % 6}", "summary": f"Persona {number % 6}."}
        for number in range(18)
    ]
    _, traps = audited(tmp_path, rows)
    assert "In 6 of 6 groups by group" in traps["reference_constant_per_group"]
    assert traps["reference_of_several_texts"].startswith("6 references belong to several")


def test_references_that_are_copied_from_the_text(tmp_path):
    rows = [spanish(number) for number in range(12)]
    for row in rows[:7]:
        row["summary"] = row["text"].partition(". ")[0]
    _, traps = audited(tmp_path, rows)
    assert traps["reference_in_text"].startswith("The references of 7 of 12 cases")


def test_a_language_with_fewer_cases_than_folds(tmp_path):
    rows = [spanish(number) for number in range(12)]
    rows[3]["text"] = "The bus came late today, and the shop had already closed when we got there."
    _, traps = audited(tmp_path, rows, {"split": {"folds": 3}})
    assert "'en' has 1 case, fewer than the 3" in traps["language_smaller_than_folds"]


@pytest.mark.parametrize(
    ("language", "trap"),
    [("de", "no_names"), ("th", "no_words"), ("sw", "no_rules_for_sentences")],
)
def test_what_is_missing_for_a_language(tmp_path, language, trap):
    _, traps = audited(tmp_path, map(spanish, range(12)), {"language": language})
    assert f"‘{language}’" in traps[trap]


def test_too_few_groups_for_the_folds_are_refused(tmp_path):
    rows = [spanish(number) | {"group": f"P{number % 2}"} for number in range(12)]
    with pytest.raises(DataError, match="2 groups of items are too few for 3 folds"):
        converted(tmp_path, rows, {"split": {"folds": 3}})


# --- sentences


def test_the_widest_interval_is_told():
    limits = dict.fromkeys(("rouge1", "rouge2", "rouge_l"), (0.4, 0.45))
    assert few_cases(400, limits | {"valid_output": (0.9, 0.95)}) is None
    found = few_cases(40, limits | {"valid_output": (0.7, 0.95)})
    assert found.startswith("With 40 items the interval of the share of valid output is 0.25 wide")


def test_a_model_that_does_not_know_the_language():
    assert "‘es’" in unknown_to_model(["es", UNKNOWN], ["en"])
    assert unknown_to_model(["es"], []) is None
    assert unknown_to_model([UNKNOWN], ["en"]) is None
    assert unknown_to_model(["en"], ["en"]) is None


# --- configuration


@pytest.fixture
def block():
    found = read_config(PROJECT)["summary"]
    found["runs"]["mine"] = {**found["runs"]["lead"], "data": "mine"}
    return found


def problems(block, folds=3, fields=("summary",)):
    split = {"folds": folds}
    entry = {"path": "mine.jsonl", "layout": "cases", "split": split, "fields": list(fields)}
    return list(mistakes(block, load_registries(PROJECT, {"datasets": {"mine": entry}})))


def test_a_fold_of_own_data_belongs_to_their_entry(block):
    block["runs"]["mine"]["fold"] = 1
    assert problems(block) == [
        "summary.runs.mine.fold: data of the layout cases are divided by their entry; state "
        "datasets.mine.split.folds, and leave this key out"
    ]


def test_a_field_is_not_called_as_another_column(block):
    (problem,) = problems(block, fields=["summary", "text"])
    assert problem.startswith("summary.runs.mine.data: a field of mine is called 'text'")


def test_two_folds_leave_nothing_to_train_on(block):
    (problem,) = problems(block, folds=2)
    assert problem.startswith("summary.runs.mine.data: of two folds one is scored")
    assert "datasets.mine.split.folds needs at least 3" in problem


def test_a_prompt_of_ones_own_has_a_place_for_the_text(block, tmp_path):
    run = block["runs"]["mine"] = {**block["runs"]["qwen2_fields"], "data": "mine"}
    run["prompt_template"] = str(tmp_path / "prompt.txt")
    assert "cannot be read" in problems(block)[0]
    (tmp_path / "prompt.txt").write_text("Escribe un resumen.")
    assert "does not hold {text}" in problems(block)[0]
    (tmp_path / "prompt.txt").write_text("Resume: {text}")
    assert problems(block) == []
    assert with_templates(block["runs"])["mine"]["prompt_template"] == "Resume: {text}"


def test_the_baseline_is_one_on_the_selected_data(block):
    assert baseline_in_use(block) == "tail"
    assert baseline_in_use(block | {"selected": ["smollm2_fields", "mine"]}) == "tail"
    assert baseline_in_use(block | {"selected": ["mine"]}) == "mine"


# --- the proposed configuration


def proposed(path):
    return yaml.safe_load(as_yaml(overlay(path), "mine", path))


def test_a_proposal_runs_as_it_is(tmp_path):
    path = tmp_path / "mine.jsonl"
    rows = [spanish(number) | {"client": f"P{number % 9}"} for number in range(40)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    text = as_yaml(overlay(path), "mine", path)
    assert len([line for line in text.splitlines() if not line.startswith("#")]) <= 20
    found = yaml.safe_load(text)
    entry = found["datasets"]["mine"]
    assert entry == {
        "path": str(path),
        "layout": "cases",
        "columns": {"group": "client"},
        "fields": ["summary"],
        "language": "es",
        "split": {"folds": 3},
    }
    (tmp_path / "mine.yaml").write_text(text)
    complete, _ = validate_config(read_config(PROJECT, [tmp_path / "mine.yaml"]), PROJECT)
    assert baseline_in_use(complete["summary"]) == "mine_lead"


def test_a_proposal_for_other_names_and_a_split_column(tmp_path):
    path = tmp_path / "mine.csv"
    lines = [
        f"{number},this is a long text about case {number},short note,"
        f"{'test' if number % 5 == 0 else 'dev' if number % 5 == 1 else 'train'}"
        for number in range(20)
    ]
    path.write_text("\n".join(["nr,story,gist,part", *lines]) + "\n")
    entry = proposed(path)["datasets"]["mine"]
    assert entry["columns"] == {"text": "story", "id": "nr"}
    assert (entry["fields"], entry["split"]) == (["gist"], {"column": "part"})


def test_a_table_without_summaries_is_reported(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("text,label\nthis is a long text,joy\nanother one here,fear\n")
    with pytest.raises(UserError, match="a column of texts and one of summaries; it has text, lab"):
        overlay(path)
