"""Scores against rouge-score, sacrebleu and counting by hand; answers and submissions."""

import itertools
import json

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU

from affectlab.errors import DataError
from affectlab.summary import baselines, scores
from affectlab.summary.answers import (
    SUBMITTED,
    parse,
    read_answers,
    read_predictions,
    target_text,
    write_details,
    write_predictions,
)
from affectlab.summary.cases import FIELDS, REFLECTION, Case

ENGLISH = (
    "She failed an exam and could not sleep. They practised breathing in 5 meetings.",
    "After failing an exam she slept badly. Breathing was practised in five meetings, she said.",
)


def case(
    identity="1", *, language="en", references=None, text="A story of Anna, aged 31. The end."
):
    references = references or {name: f"{name} of it" for name in FIELDS}
    return Case(identity, "test", 0, language, (text,), ("Talk.",), "", references, False, identity)


def answer(fields, *, valid=True):
    return scores.Answer(fields, valid, False, False)


def test_rouge_in_english_is_that_of_rouge_score():
    theirs = RougeScorer(["rouge1", "rouge2", "rougeL"]).score(*ENGLISH)
    ours = scores.rouge(*ENGLISH, "en")
    assert ours["rouge_l"] == pytest.approx(theirs["rougeL"].fmeasure)
    assert ours["rouge2"] == pytest.approx(theirs["rouge2"].fmeasure)
    assert 0 < ours["rouge2"] < ours["rouge1"] < 1


def test_rouge_in_chinese_by_hand():
    # 4 characters each, 3 in common in order; 2 of 3 pairs in common.
    found = scores.rouge("我很难过", "我很难受", "zh")
    assert found == pytest.approx({"rouge1": 0.75, "rouge2": 2 / 3, "rouge_l": 0.75})
    assert RougeScorer(["rouge1"]).score("我很难过", "我很难受")["rouge1"].fmeasure == 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_bleu_of_summed_columns_is_the_corpus_score(language):
    pairs = {
        "en": [ENGLISH, ENGLISH[::-1], ("a b c d e f", "a b c d x f")],
        "zh": [("我今天很难过，睡不着", "我今天很难过，吃不下"), ("慢慢来就好了", "慢慢来会好的")],
    }[language]
    sums = np.sum([scores.bleu_columns(*pair, language) for pair in pairs], axis=0)
    metric = BLEU(tokenize="zh" if language == "zh" else "13a")
    theirs = metric.corpus_score([p for _, p in pairs], [[r for r, _ in pairs]])
    assert scores.bleu_of_sums(sums) == pytest.approx(theirs.score / 100)
    assert theirs.score > 0


def test_copying_repetition_and_support_by_hand():
    assert scores.copied("a b c d x", "z a b c d e", "en") == (1, 2)
    assert scores.repeated("a b c a b c", "en") == (1, 4)
    assert scores.unsupported_numbers("in 5 of 1,200 days", "5 and 1200") == (0, 2)
    assert scores.unsupported_numbers("about 31", "13") == (1, 1)
    source = "She met Anna Berg in Rome."
    talk = "The talk with Anna Berg and Boris"
    assert scores.unsupported_names([talk], source, "en") == (1, 2)
    # Fields without a full stop: Sleep opens one, and Boris is one name in both.
    assert scores.unsupported_names([talk, "Sleep without Boris"], source, "en") == (1, 2)
    assert scores.unsupported_names(["小明去了北京"], "小明在上海", "zh")[1] >= 1


def test_a_sentence_s_first_word_is_no_name():
    assert scores.names("Patience helped. Then Anna left.", "en") == ["Anna"]


def test_perfect_and_empty_answers():
    cases = [case("1"), case("2")]
    perfect = [answer(one.references) for one in cases]
    empty = [answer({}, valid=False)] * 2
    for answers, expected in ((perfect, 1.0), (empty, 0.0)):
        found = scores.all_scores(cases, answers)
        for name in ("rouge1", "rouge2", "rouge_l", "chrf", "valid_output"):
            assert found[name].value == pytest.approx(expected), name
    assert scores.description(cases, perfect)["length_ratio"] == 1
    assert scores.field_scores(cases, perfect)["causes"]["rouge1"] == 1


def test_a_summary_in_another_language_than_its_case_is_cut_as_what_it_is():
    references = dict.fromkeys(FIELDS, "她很难过，晚上睡不好。")
    one = case(references=references)
    for answers, expected in (([answer(references)], 1.0), ([answer({})], 0.0)):
        found = scores.all_scores([one], answers)
        for name in ("rouge1", "rouge2", "rouge_l", "bleu"):
            assert found[name].value == pytest.approx(expected)
    assert scores.field_scores([one], [answer(references)])["causes"]["rouge_l"] == 1
    assert scores.description([one], [answer(references)])["length_ratio"] == 1


def test_references_without_a_letter_have_no_length():
    one = case(references=dict.fromkeys(FIELDS, "..."))
    found = scores.description([one], [answer(one.references)])
    assert all(np.isfinite(value) for value in found.values())


def whole(**changes):
    return {name: f"text of {name}" for name in FIELDS} | changes


@pytest.mark.parametrize(
    ("text", "valid", "repaired"),
    [
        (json.dumps(whole()), True, False),
        (f" {json.dumps(whole())}\n", True, False),
        (f"```json\n{json.dumps(whole())}\n```", False, True),
        (f"Here it is: {json.dumps(whole())} I hope it helps", False, True),
        (json.dumps(whole(extra="x")), False, True),
        (json.dumps(whole(causes=["a", "b"])), False, True),
        (json.dumps(whole(causes="")), False, True),
        (json.dumps(whole())[:60], False, True),
        ("causes: a\nsymptoms: b", False, True),
        ("I cannot do that.", False, False),
        ("[" * 5000, False, False),
        ("", False, False),
    ],
)
def test_parsing(text, valid, repaired):
    found = parse(text, FIELDS)
    assert (found.valid, found.repaired) == (valid, repaired)
    assert tuple(found.fields) == FIELDS
    assert all(isinstance(value, str) for value in found.fields.values())
    if valid:
        assert found.fields == whole()


def test_parsing_of_targets_gives_the_references_back():
    assert parse(target_text(whole()), FIELDS).fields == whole()
    assert parse(target_text({REFLECTION: "好。"}), (REFLECTION,)).valid
    assert not parse(" ", (REFLECTION,)).valid


def test_a_list_becomes_one_text():
    assert parse(json.dumps(whole(causes=["a", "b"])), FIELDS).fields["causes"] == "a; b"


def test_half_a_surrogate_pair_in_an_output_can_be_stored(tmp_path):
    cases = [case("1"), case("2")]
    texts = [json.dumps(whole(causes="a \ud83d b")), json.dumps(whole(causes=["a \ud83d b"]))]
    answers = [parse(text, FIELDS) for text in texts]
    assert [one.valid for one in answers] == [True, False]
    write_predictions(tmp_path / "p.jsonl", cases, answers)
    assert {row["causes"] for row in read_predictions(tmp_path / "p.jsonl", cases)} == {
        "a \ufffd b"
    }


def test_a_nul_in_an_output_can_be_stored(tmp_path):
    cases = [case("1"), case("2")]
    answers = [parse(json.dumps(whole(causes=text)), FIELDS) for text in ("a \0 b", ["a \0 b"])]
    write_predictions(tmp_path / "p.jsonl", cases, answers)
    assert {row["causes"] for row in read_predictions(tmp_path / "p.jsonl", cases)} == {
        "a \ufffd b"
    }
    assert parse("a \0 b", (REFLECTION,)).fields == {REFLECTION: "a \ufffd b"}
    assert parse('causes: "a \0 b"', FIELDS).fields["causes"] == "a \ufffd b"


def test_an_output_nested_without_end_costs_no_other():
    found = parse(f'{{"causes": {"[" * 700}{"]" * 700}}}', FIELDS)
    assert not found.valid


def stored(tmp_path, cases, rows=None):
    path = tmp_path / "predictions.jsonl"
    answers = [answer(one.references) for one in cases]
    write_predictions(path, cases, answers)
    if rows is not None:
        lines = path.read_text().splitlines()
        path.write_text("\n".join(rows(lines)) + "\n")
    return path


def test_a_submission_reads_back(tmp_path):
    cases = [case("2"), case("10")]
    path = stored(tmp_path, cases)
    first = json.loads(path.read_text().splitlines()[0])
    assert first["id"] == 2
    assert set(first) == {"id", *(SUBMITTED[name] for name in FIELDS)}
    assert read_predictions(path, cases) == [one.references for one in cases]


def test_ids_read_back_as_they_were(tmp_path):
    cases = [case("007"), case("7"), case("٣"), case("b")]
    path = stored(tmp_path, cases)
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == [
        "007",
        7,
        "٣",
        "b",
    ]
    assert len(read_predictions(path, cases)) == 4


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (lambda lines: lines[:1], "no prediction for 1 items of the split test: 10"),
        (lambda lines: [*lines, lines[0]], "record 3: a second prediction for '2'"),
        (lambda lines: [*lines, '{"id": 77}'], "record 3: the id '77' is not one of the cases"),
        (lambda lines: ['{"id": 2}', lines[1]], "expected the field predicted_cause"),
        (lambda lines: [lines[0][:-1] + ', "x": 1}', lines[1]], "unknown field x"),
        (
            lambda lines: [lines[0].replace("causes of", "\\ud83d"), lines[1]],
            "record 1: predicted_cause: holds half a surrogate pair",
        ),
    ],
)
def test_a_submission_that_does_not_fit(tmp_path, rows, problem):
    cases = [case("2"), case("10")]
    with pytest.raises(DataError, match=problem):
        read_predictions(stored(tmp_path, cases, rows), cases)


def test_answers_and_details_belong_together(tmp_path):
    cases = [case("2")]
    details = tmp_path / "details.jsonl"
    write_details(details, [{"id": "2", "valid": False, "repaired": True, "error": "gone"}])
    (found,) = read_answers(stored(tmp_path, cases), details, cases)
    assert (found.valid, found.repaired, found.failed) == (False, True, True)
    write_details(details, [])
    with pytest.raises(DataError, match="nothing about the case 2"):
        read_answers(stored(tmp_path, cases), details, cases)


def long_case(identity, words, reference):
    references = dict.fromkeys(FIELDS, reference)
    return case(identity, references=references, text=" ".join(words))


def test_lead_is_the_first_200_words():
    one = long_case("1", [f"w{i}" for i in range(400)], "r")
    (found,) = baselines.lead([one], [])
    assert scores.joined(found, FIELDS, "en") == " ".join(f"w{i}" for i in range(200))


def test_tail_is_the_end_of_the_reflection():
    text = " ".join(f"Sentence {i}." for i in range(20))
    one = Case("1", "test", 0, "en", ("d",), ("p",), text, dict.fromkeys(FIELDS, "r"), False, "1")
    (found,) = baselines.tail([one], [])
    assert scores.joined(found, FIELDS, "en").startswith("Sentence 12.")


def test_textrank_takes_the_sentence_that_shares_most_words():
    central = "the cat and the dog and the bird met."
    others = ["the cat slept.", "a dog barked.", "one bird sang.", "rain fell slowly."]
    ranked = baselines._pagerank(
        baselines._overlap([set(text.strip(".").split()) for text in [*others, central]])
    )
    assert ranked.argmax() == 4
    assert ranked.sum() == pytest.approx(1)


def test_ranks_are_those_of_the_linear_system():
    generator = np.random.default_rng(0)
    bags = [{str(i) for i in generator.integers(0, 30, size)} for size in [0, 0, 1, 9, 4, 6, 3, 8]]
    weights = baselines._overlap(bags)
    for (i, one), (j, other) in itertools.product(enumerate(bags), repeat=2):
        scale = np.log(max(len(one), 1)) + np.log(max(len(other), 1))
        expected = len(one & other) / scale if scale and i != j else 0
        assert weights[i, j] == pytest.approx(expected)
    totals = weights.sum(axis=1, keepdims=True)
    moves = np.divide(weights, totals, out=np.full_like(weights, 1 / 8), where=totals > 0)
    system = np.eye(8) - baselines.DAMPING * moves.T
    expected = np.linalg.solve(system, np.full(8, (1 - baselines.DAMPING) / 8))
    assert baselines._pagerank(weights) == pytest.approx(expected, abs=1e-12)


def test_a_giant_case_can_be_summarised_without_a_model():
    talk = " ".join(
        f"They spoke about matter {i} on that day, and then of {i + 1}." for i in range(4000)
    )
    giant = case("1", text=talk)
    assert len(giant.text) > 200_000
    for method in (baselines.lead, baselines.tail, baselines.textrank):
        (found,) = method([giant], [])
        assert 0 < len(scores.joined(found, FIELDS, "en").split()) < 250


def test_template_and_nearest_learn_from_train_alone():
    train = [
        long_case("1", ["exam", "school"], "about an exam"),
        long_case("2", ["sister", "quarrel"], "about a sister"),
        long_case("3", ["school", "teacher"], "about an exam too"),
    ]
    test = [long_case("4", ["quarrel", "with", "sister"], "x"), long_case("5", ["exam"], "y")]
    near = baselines.nearest(test, train)
    assert [row["causes"] for row in near] == ["about a sister", "about an exam"]
    same = baselines.template(test, train)
    assert same[0] == same[1]
    assert same[0]["causes"] in {"about an exam", "about an exam too"}
