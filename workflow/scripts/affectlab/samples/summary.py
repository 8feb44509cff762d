"""Generated counselling cases in the layouts of LongEmotion (English) and PsyQA (Chinese).

Every case is invented: a person, a trouble, what was done and what came of it are drawn from the
lists below by a seeded generator. The references of the English cases say what the case says, in
other words, so that there is something to be learnt.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from affectlab.files.io import atomic_writer

LAYOUTS = ("longemotion", "psyqa")

CASES = 60

PEOPLE = ("Anna", "Boris", "Clara", "David", "Elena", "Farid", "Grete", "Hiro", "Ines", "Jonas")
TROUBLES = (
    ("failing an exam", "sleeplessness and worry", "worry that comes back before every test"),
    ("a quarrel with a sister", "sadness and silence at home", "low mood that deepens at weekends"),
    ("moving to a new town", "loneliness and headaches", "slow withdrawal over some months"),
    ("the loss of a job", "shame and poor appetite", "doubts that grow in the mornings"),
    ("an unhappy friendship", "anger and restlessness", "tension that rises in company"),
    ("a parent's illness", "fear and tiredness", "fear that never quite leaves"),
)
METHODS = (
    ("relaxation exercises", "breathing and rest were practised"),
    ("a diary of thoughts", "thoughts were written down and examined"),
    ("small steps towards people", "meetings with others were planned"),
    ("talks about strengths", "what had gone well was looked for"),
)
OUTCOMES = (
    ("sleeps better and plans the week", "better sleep and a plan for the week"),
    ("speaks with the family again", "talks in the family"),
    ("has found two new friends", "new friends"),
    ("feels calmer but still tires easily", "more calm, though tiredness remains"),
)
REMARKS = (
    "The room was quiet and the talk went slowly.",
    "Nothing was decided on that day.",
    "The counsellor mostly listened.",
    "It had been raining, and both spoke of the weather first.",
    "A glass of water stood on the table.",
    "They agreed to meet again after the weekend.",
)

TOPICS = ("情绪", "人际", "家庭", "学业", "恋爱", "成长")
CHINESE_TROUBLES = (
    "考试没有考好",
    "和室友吵架了",
    "搬到了新的城市",
    "父母常常争吵",
    "工作没有进展",
)
CHINESE_FEELINGS = (
    "睡不好觉，心里很乱",
    "总是想哭，不愿意说话",
    "很孤单，也很害怕",
    "容易生气，静不下来",
)
CHINESE_ADVICE = (
    "可以每天写下三件顺利的小事，慢慢看到自己的力量。",
    "试着把担心的事情写下来，一件一件地去看。",
    "找一位信任的朋友，把感受说给他听。",
    "先照顾好睡眠和饮食，再去想下一步。",
    "给自己一点时间，变化不会一天就发生。",
)


def write_longemotion(directory: Path | str, seed: int = 0, cases: int = CASES) -> None:
    """Write ``Emotion_Summary.jsonl`` with *cases* English cases."""
    rng = random.Random(seed)
    _write_lines(
        Path(directory) / "Emotion_Summary.jsonl", [english_case(rng, i) for i in range(cases)]
    )


def write_psyqa(directory: Path | str, seed: int = 0, cases: int = CASES) -> None:
    """Write ``PsyQA_sample.json`` with *cases* Chinese questions and their answers."""
    rng = random.Random(seed)
    content = [chinese_question(rng, i) for i in range(cases)]
    with atomic_writer(Path(directory) / "PsyQA_sample.json") as stream:
        json.dump(content, stream, ensure_ascii=False, indent=1)


def english_case(rng: random.Random, number: int) -> dict[str, Any]:
    """One case in the benchmark's form."""
    name, age = rng.choice(PEOPLE), rng.randint(16, 60)
    cause, symptoms, course = rng.choice(TROUBLES)
    method, done = rng.choice(METHODS)
    outcome, gain = rng.choice(OUTCOMES)
    sessions = rng.randint(3, 9)
    remarks = [rng.choice(REMARKS) for _ in range(rng.randint(4, 16))]
    return {
        "id": number + 1,
        "case_description": [
            f"{name}, {age} years old, came after {cause}.",
            f"{name} spoke of {symptoms}. It was, in short, {course}.",
        ],
        "consultation_process": [
            f"There were {sessions} meetings, and {done}.",
            *remarks,
            f"The counsellor worked with {method}.",
        ],
        "experience_and_reflection": f"{name} now {outcome}. Patience mattered more than advice.",
        "causes": f"The trouble began with {cause}.",
        "symptoms": f"{symptoms.capitalize()}.",
        "treatment_process": f"{method.capitalize()} in {sessions} meetings.",
        "characteristics_of_illness": f"{course.capitalize()}.",
        "treatment_effect": f"{gain.capitalize()}.",
    }


def chinese_question(rng: random.Random, number: int) -> dict[str, Any]:
    """One question with answers in PsyQA's form; some have no keywords."""
    trouble, feeling = rng.choice(CHINESE_TROUBLES), rng.choice(CHINESE_FEELINGS)
    answers = [
        "".join(rng.choice(CHINESE_ADVICE) for _ in range(rng.randint(2, 12)))
        for _ in range(rng.randint(1, 3))
    ]
    return {
        "questionID": 10_000 + number,
        "question": f"最近{trouble}，怎么办？",
        "description": f"我今年{rng.randint(16, 40)}岁，{trouble}以后，{feeling}。",
        "keywords": ",".join(rng.sample(TOPICS, rng.randint(0, 2))),
        "answers": [
            {"answer_text": text, "has_label": False, "labels_sequence": None} for text in answers
        ],
    }


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    with atomic_writer(path) as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
