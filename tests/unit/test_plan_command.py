"""`affectlab plan`, the items that experiments plan for, and the sentences of report and card."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from affectlab import cli
from affectlab.audio import plan as audio_plan
from affectlab.audio.data import Clip
from affectlab.config.dotted import load
from affectlab.datasets.description import Description
from affectlab.emotion import plan as emotion_plan
from affectlab.emotion.data import Data, Record
from affectlab.emotion.ratings import Rating, Ratings
from affectlab.entity import plan as entity_plan
from affectlab.entity.data import Data as SpanData
from affectlab.entity.data import Record as SpanRecord
from affectlab.entity.data import Target
from affectlab.evaluation.plan_text import plan_record, plan_sentences, sentence, table
from affectlab.evaluation.planned_numbers import Concordance, Mean
from affectlab.evaluation.planning import Plannable, Question, decision_questions, make_plan
from affectlab.experiments import EXPERIMENTS
from affectlab.face import plan as face_plan
from affectlab.face.data import Faces
from affectlab.files.io import write_jsonl
from affectlab.report import model_cards
from affectlab.report.data_notes import data_notes
from affectlab.summary import plan as summary_plan
from affectlab.summary.cases import Case

CLASSES = ("anger", "joy", "calm")
# So many that texts are not near duplicates by chance.
WORDS = tuple(f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")


def text(number):
    generator = np.random.default_rng(number)
    return " ".join(generator.choice(WORDS, size=12))


def records(count=120, authors=20, **fixed):
    return [
        Record(
            id=str(n),
            text=text(n),
            label=CLASSES[n % 3],
            split=("train", "test")[n % 2],
            group=f"author {n % authors}",
            **fixed,
        )
        for n in range(count)
    ]


@pytest.fixture
def results(tmp_path):
    """A results folder with a converted data set of 60 test texts in ten groups."""
    folder = tmp_path / "results" / "emotion" / "data" / "tweets"
    folder.mkdir(parents=True)
    write_jsonl(folder / "records.jsonl", (one.to_dict() for one in records()), sealed=True)
    Description(CLASSES, group="author").write(folder / "description.json")
    return tmp_path / "results"


def run(results, *options):
    return cli.main(["plan", "emotion/tweets", "--results", str(results), *options])


def test_the_table_has_a_line_for_each_score_and_correlation(results, capsys):
    assert run(results, "--width", "0.1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "60 texts in 10 groups, the test split"
    rows = [line.split() for line in lines if line.startswith(("accuracy ", "macro_f1 "))]
    assert [(row[0], row[-1]) for row in rows] == [
        ("accuracy", "1"),
        ("accuracy", "0"),
        ("macro_f1", "1"),
        ("macro_f1", "0"),
    ]
    assert any("the middle between always 'anger' (0.33) and 1" in line for line in lines)


def test_options_are_used(results, capsys):
    options = ("--score", "accuracy", "--expect", "0.8", "--agree", "0.9", "--within", "0.2")
    assert run(results, *options, "--json") == 0
    [found] = json.loads(capsys.readouterr().out)
    assert (found["score"], found["expected"], found["agree"]) == ("accuracy", 0.8, 0.9)
    [outlook] = found["outlooks"]
    assert outlook["within_groups"] == 0.2
    low, high = outlook["interval"]
    assert low < 0.8 < high
    assert found["why"] == "as given"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["emotion/other"], r"snakemake --cores 1 .*emotion/data/other/description.json"),
        (["nothing/tweets"], "nothing/tweets: expected EXPERIMENT/DATA"),
        (["emotion"], "emotion: expected EXPERIMENT/DATA"),
        (["emotion/tweets", "--score", "ccc"], "--score ccc: expected one of accuracy, macro_f1"),
        (["emotion/tweets", "--expect", "2"], "score 2: expected a value between 0 and 1"),
    ],
)
def test_what_cannot_be_planned_is_one_line(results, capsys, arguments, message):
    assert cli.main(["plan", *arguments, "--results", str(results)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)


def test_every_experiment_can_be_planned():
    assert all(callable(load(one.plan)) for one in EXPERIMENTS.values())


def names(part):
    return [one.name for one in part.questions]


def test_texts_with_classes():
    [part] = emotion_plan.plannable(Data(Description(CLASSES), records()))
    assert (part.what, part.where, names(part)) == (
        "texts",
        "the test split",
        ["accuracy", "macro_f1"],
    )
    plan = make_plan(part.questions[0])
    assert (plan.items, plan.groups) == (60, 10)


def test_a_cross_validation_scores_all_texts():
    [part] = emotion_plan.plannable(Data(Description(CLASSES, folds=5), records(fold=0)))
    assert part.where == "all folds of the cross-validation"
    assert len(part.questions[0].score.groups) == 120


def test_texts_with_numbers():
    rated = [
        Rating(str(n), text(n), {"valence": n % 7, "arousal": n % 5}, "test") for n in range(50)
    ]
    data = Ratings(Description(("valence", "arousal"), target="numbers"), rated)
    [part] = emotion_plan.plannable(data)
    assert names(part) == ["ccc"]
    assert part.questions[0].score.values.shape == (50, 2)


def test_data_without_a_test_split_or_with_one_class_have_no_plan():
    training = [one for one in records() if one.split == "train"]
    assert emotion_plan.plannable(Data(Description(CLASSES), training)) == []
    same = [one for one in records() if one.label == "joy"]
    assert plan_record(emotion_plan.plannable(Data(Description(CLASSES), same))) == []


def test_spans_of_one_text_are_a_group():
    rows = [
        SpanRecord(
            str(n),
            text(n),
            "test",
            tuple(
                Target(f"{n}.{k}", k, k + 3, tuple(float(k == c) for c in range(3)), 1.0)
                for k in range(3)
            ),
        )
        for n in range(30)
    ]
    [part] = entity_plan.plannable(SpanData(Description(CLASSES), rows))
    assert part.what == "spans"
    plan = make_plan(part.questions[0])
    assert (plan.items, plan.groups, plan.outlooks[0].design_effect) == (90, 30, 3.0)


def test_images_of_the_result_split():
    generator = np.random.default_rng(0)
    count = 40
    faces = Faces(
        images=generator.integers(0, 255, (count, 48, 48), dtype=np.uint8),
        paths=[f"{n}.png" for n in range(count)],
        splits=np.array(["train", "validation", "test", "test"] * 10),
        formats=["png"] * count,
        sizes=["48x48"] * count,
        emotions=np.array(["anger", "joy"] * 20),
        affect=None,
        votes=None,
        votes_status=None,
        description=Description(("anger", "joy")),
    )
    [scored] = face_plan.plannable(faces, "test")
    assert (scored.where, len(scored.questions[0].score.groups)) == ("the test split", 20)
    # All validation images of this corpus are of one class.
    [other] = face_plan.plannable(faces, "validation")
    assert (other.where, other.questions) == ("the validation split", [])


def test_cases_differ_as_their_beginnings_do():
    cases = [
        Case(
            id=str(n),
            split="test",
            fold=0,
            language="en",
            case_description=(f"{text(n)}. {text(n + 1)}.",),
            consultation_process=(),
            reflection="",
            references={"topic": text(n)},
            template=False,
            group=str(n),
        )
        for n in range(30)
    ]
    [part] = summary_plan.plannable(cases)
    assert names(part) == ["rouge1", "rouge2", "rouge_l"]
    question = part.questions[0]
    assert question.expected == pytest.approx(question.score.values.mean())
    assert question.why == "that of the beginning of each case"


def test_clips_and_subjects_of_the_tasks_of_a_corpus():
    """Clips of a subject are a group; traits of a subject are one item."""
    clips = [
        Clip(
            id=str(n),
            path=f"{n}.wav",
            subject=f"s{n // 3}",
            labels={
                "3emo": ("negative", "neutral", "positive")[n % 3],
                "2dep": ("depressed", "not_depressed")[n // 3 % 2],
            },
            split=None,
            seconds=None,
        )
        for n in range(90)
    ]
    description = Description(
        (
            "3emo/negative",
            "3emo/neutral",
            "3emo/positive",
            "2dep/not_depressed",
            "2dep/depressed",
        )
    )
    traits, prompts = audio_plan.plannable(clips, description, Path("records.jsonl"))
    assert (traits.task, traits.what, names(traits)) == ("2dep", "subjects", ["uar", "accuracy"])
    assert len(traits.questions[0].score.groups) == 30
    plan = make_plan(prompts.questions[0])
    assert (prompts.task, plan.items, plan.groups) == ("3emo", 90, 30)
    assert "(task 3emo)" in sentence(prompts, plan)


def test_clips_with_numbers():
    clips = [
        Clip(str(n), f"{n}.wav", f"s{n // 2}", {}, None, values={"arousal": float(n % 7)})
        for n in range(80)
    ]
    description = Description(("arousal",), target="numbers")
    [part] = audio_plan.plannable(clips, description, Path("records.jsonl"))
    assert (part.what, names(part)) == ("clips", ["ccc"])
    plan = make_plan(part.questions[0])
    assert (plan.items, plan.groups) == (80, 40)
    assert plan.outlooks[-1].low < 0.5 < plan.outlooks[-1].high


def test_a_cross_validated_probe_has_a_wider_interval_and_misses_larger_differences():
    """The variance counts 2.25 times."""
    clips = [
        Clip(str(n), f"{n}.wav", f"s{n}", {"label": CLASSES[n % 3]}, None, None) for n in range(600)
    ]
    [part] = audio_plan.plannable(clips, Description(CLASSES), Path("records.jsonl"))
    probe = make_plan(part.questions[0]).outlooks[0]
    score = part.questions[0].score
    plain = decision_questions(
        score.labels, score.groups, CLASSES, {"balanced_accuracy": "a recall"}
    )[0]
    single = make_plan(plain).outlooks[0]
    assert probe.width == pytest.approx(1.5 * single.width, rel=0.03)
    assert probe.smallest_difference == pytest.approx(1.5 * single.smallest_difference, rel=0.05)


def test_classes_without_items_do_not_change_a_plan():
    labels, groups = np.arange(120) % 3, np.arange(120)
    titles = {"macro_f1": "a macro-F1"}
    known = make_plan(decision_questions(labels, groups, ["a", "c", "f"], titles)[0])
    wider = make_plan(decision_questions(labels * 2, groups, list("abcdef"), titles)[0])
    assert wider.outlooks == known.outlooks
    assert wider.expected == known.expected == pytest.approx((1 + 1 / 6) / 2)
    assert all(one.low < known.expected < one.high for one in known.outlooks)


def test_one_sentence_tells_what_the_items_can_show():
    data = Data(Description(CLASSES), records())
    audit = {"plan": plan_record(emotion_plan.plannable(data)), "expected": []}
    [found] = plan_sentences(audit)
    assert found.startswith(
        "With 60 texts in 10 groups, an accuracy of 0.67 has a 95 % interval of"
    )
    assert "cannot be shown" in found
    assert "For independent texts the interval is" in found
    assert model_cards.data_limits(audit) == [found]
    assert data_notes({"tweets": audit}, [])["tweets"].plan == (found,)


def test_the_widest_interval_comes_first_and_has_its_assumption():
    # In each group the numbers are spread as in all: an error of a whole group costs little.
    values, groups = np.tile(np.linspace(-1, 1, 6), 6)[:, None], np.repeat(np.arange(6), 6)
    asked = Question("ccc", "a concordance", Concordance(values, groups), 0.4, "assumed")
    part = Plannable("clips", "all folds", [asked])
    plan = make_plan(asked)
    dependent, independent = plan.outlooks
    assert dependent.width < independent.width
    found = sentence(part, plan)
    assert f"interval of about ±{independent.width / 2:.2f};" in found
    assert "This assumes independent clips. If all clips of one group have the same error" in found


def test_values_without_spread_plan_nothing():
    asked = Question("rouge1", "a ROUGE-1", Mean(np.full(40, 0.3), np.arange(40)), 0.3, "of leads")
    part = Plannable("cases", "all folds", [asked])
    found = sentence(part, make_plan(asked))
    assert found == (
        "With 40 cases, a ROUGE-1 is nearly the same for all cases (of leads), so no interval can "
        "be planned."
    )
    assert "rouge1: nearly the same for all cases" in table(part, [make_plan(asked)])


def test_items_without_groups_have_one_interval():
    alone = [Record(str(n), text(n), CLASSES[n % 3], "test") for n in range(60)]
    [part] = emotion_plan.plannable(Data(Description(CLASSES), alone))
    found = sentence(part, make_plan(part.questions[0]))
    assert found.startswith("With 60 texts, an accuracy")
    assert "independent" not in found


def test_an_audit_without_a_plan_adds_nothing():
    assert plan_sentences({}) == []
    assert plan_record([Plannable("texts", "the test split", [])]) == []
