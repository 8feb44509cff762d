"""Texts that are nearly the same: found in every audit, kept together, left out of clean scores."""

import json
import random
import time
from itertools import combinations

import pytest
from emotion_tables import data_of

from affectlab.datasets.description import Description
from affectlab.datasets.near_texts import SIMILARITY, near_duplicates, near_groups, template_of
from affectlab.datasets.splits import SPLITS
from affectlab.emotion import audit as emotion_audit
from affectlab.emotion import data as emotion
from affectlab.emotion.evaluate import overlapping_ids
from affectlab.emotion.score_classes import corpus_of
from affectlab.entity import audit as entity_audit
from affectlab.entity import data as entity
from affectlab.entity.convert import convert as convert_entity
from affectlab.entity.labels import CLASSES as ENTITY_CLASSES
from affectlab.entity.settings import Split as EntitySplit
from affectlab.samples import summary as summary_sample
from affectlab.summary import audit as summary_audit
from affectlab.summary import cases
from affectlab.summary.convert import Outputs
from affectlab.summary.convert import convert as convert_cases
from affectlab.summary.settings import Split

NEAR = {
    "another number": ("I waited 5 hours for it", "I waited 12 hours for it"),
    "a decimal": ("it cost us 3.50 euros", "it cost us 1,299.00 euros"),
    "a date": ("on 3/5/2024 I cried all day", "on 12/11/2025 I cried all day"),
    "full-width digits": ("room 42 is too cold", "room \uff14\uff13 is too cold"),
    "punctuation": ("So happy, really!!!", "so happy... really"),
    "a symbol": ("this is great \U0001f60a", "this is great"),
    "an apostrophe": ("I don\u2019t know", "i dont know"),
    "an address": ("you must see https://a.b/1?x=2 now", "you must see www.c.org now"),
    "a user": ("@anna thank you so much", "@bob_7 thank you so much"),
    "a word more": ("i feel so tired of all this", "i feel so very tired of all this"),
    "a word changed": (
        "the train to the coast was late again and i felt angry",
        "the train to the city was late again and i felt angry",
    ),
    "a name": (
        "dear Ada, we are very happy to welcome you",
        "dear Jun, we are very happy to welcome you",
    ),
    "Chinese, another number": (
        "\u6211\u4eca\u5929\u7b49\u4e863\u4e2a\u5c0f\u65f6",
        "\u6211\u4eca\u5929\u7b49\u4e8625\u4e2a\u5c0f\u65f6",
    ),
}  # fmt: skip

OTHER = {
    "short, a word changed": ("i feel sad today", "i feel glad today"),
    "short, a word more": ("i am happy", "i am not happy"),
    "another half": (
        "i feel that the weekend was far too short for us",
        "i feel that the teacher was far too strict with us",
    ),
    "no words": ("\U0001f60a\U0001f60a", "!!!"),
    "other words of one length": ("one two three four five", "six seven eight nine ten"),
    "short, another number": ("text 1", "text 2"),
    "a word in place of a number": ("i waited 5 hours", "i waited for hours"),
}


@pytest.mark.parametrize("case", NEAR)
def test_near_duplicates_are_one_group(case):
    one, two = near_groups(NEAR[case])
    assert one == two


@pytest.mark.parametrize("case", OTHER)
def test_other_texts_are_not(case):
    one, two = near_groups(OTHER[case])
    assert one != two


def jaccard(one, two):
    def bag(words):
        return {(word, words[:place].count(word)) for place, word in enumerate(words)}

    return len(bag(one) & bag(two)) / len(bag(one) | bag(two))


def test_the_join_finds_exactly_the_pairs_that_all_comparisons_find():
    rng = random.Random(0)
    words = [f"w{chr(97 + n)}" for n in range(26)]
    texts = [" ".join(rng.choices(words, k=rng.randint(5, 14))) for _ in range(150)]
    for text in list(texts):
        own = text.split()
        own[rng.randrange(len(own))] = rng.choice(words)
        texts.append(" ".join(own + rng.choices(words, k=rng.randint(0, 2))))
    parent = list(range(len(texts)))

    def root(item):
        while parent[item] != item:
            item = parent[item]
        return item

    pairs = 0
    for one, two in combinations(range(len(texts)), 2):
        if jaccard(template_of(texts[one]), template_of(texts[two])) >= SIMILARITY:
            pairs += 1
            parent[root(two)] = root(one)
    assert pairs > 50
    found = near_groups(texts)
    for one, two in combinations(range(len(texts)), 2):
        assert (found[one] == found[two]) == (root(one) == root(two))


def test_thousands_of_texts_from_one_template_take_seconds():
    rng = random.Random(0)
    names = [f"{chr(97 + a)}{chr(97 + b)}x" for a in range(26) for b in range(26)]
    texts = [
        f"hello {rng.choice(names)} this is a message about your order {n}, please call us at "
        f"once and ask for {rng.choice(names)}, thank you"
        for n in range(8000)
    ]
    started = time.process_time()
    assert len(set(near_groups(texts))) == 1
    assert time.process_time() - started < 20


def test_what_an_audit_stores():
    splits = {
        "train": [("a", "i had waited 5 hours"), ("b", "I had waited 5 hours"), ("c", "else")],
        "validation": [],
        "test": [("d", "i had waited 7 hours"), ("e", "i had waited 5 hours"), ("f", "new")],
    }
    found = near_duplicates(splits, (("test", "train"), ("validation", "train")))
    assert found["groups"] == [["a", "b", "d", "e"]]
    # "e" reads like a text of train: that is overlap, not a near duplicate.
    assert found["overlap"] == {"test_in_train": ["d"], "validation_in_train": []}
    assert found["within"] == {"train": 0, "validation": 0, "test": 1}
    json.dumps(found)


WORDS = {
    "sadness": "the empty house made me cry again",
    "joy": "we danced round the kitchen and laughed",
    "love": "her smile is dearer than gold",
    "anger": "they lied and i want it back",
    "fear": "something moved behind the dark door",
    "surprise": "nobody ever told me it would snow",
}


def emotion_records(extra):
    rows = [
        (split, f"{text} on the {split} day", label)
        for split in emotion.SPLITS
        for label, text in WORDS.items()
    ]
    rows = [(split, f"{text} {split * 3}", label) for split, text, label in rows]
    rows += [(split, text, "joy") for split, text in extra]
    return [
        emotion.Record(f"{split}-{number:05d}", text, label, split)
        for number, (split, text, label) in enumerate(rows)
    ]


def test_near_duplicates_of_texts_are_left_out_of_the_clean_score(tmp_path):
    records = emotion_records(
        [
            ("train", "i won 5 games with my brother"),
            ("test", "i won 12 games with my brother"),
            ("test", "i won 31 games with my brother!"),
        ]
    )
    found = emotion_audit.audit(data_of(records))
    near = [record.id for record in records[-2:]]
    assert found["overlap"]["test_in_train"] == []
    assert found["near_duplicates"]["overlap"]["test_in_train"] == near
    path = tmp_path / "audit.json"
    path.write_text(json.dumps(found))
    assert overlapping_ids(path) == set(near)
    # And they count as one unit of the interval.
    corpus = corpus_of(data_of(records))
    one, two = (corpus.group[name] for name in near)
    assert one == two
    assert len({corpus.group[record.id] for record in records}) == len(records) - 1


def test_near_duplicates_of_spans_stay_in_one_split(tmp_path):
    things = ("clock", "letter", "harbour", "bread", "piano", "garden", "lantern", "bridge")
    label = {"soft_label": [0.0] * 27 + [1.0], "intensity": 1.0}
    (tmp_path / "raw").mkdir()
    with (tmp_path / "raw" / "spans.jsonl").open("w") as stream:
        for place, thing in enumerate(things * 5):
            text = f"{thing} number {place} was {'very ' * (place // 8)}{thing[::-1]}"
            target = {"span_text": thing, "char_start": 0, "char_end": len(thing), **label}
            for number in (place, 100 + place):
                own = text.replace(f"number {place}", f"number {number}")
                stream.write(json.dumps({"text": own, "targets": [target]}) + "\n")
    convert_entity(
        tmp_path / "raw", tmp_path / "r", tmp_path / "q", tmp_path / "d",
        entry={"layout": "entity_spans"}, on_bad_record="fail",
        split=EntitySplit(validation=0.2, test=0.2),
    )  # fmt: skip
    data = entity.read_data(tmp_path / "r", tmp_path / "d")
    records = data.records
    assert {record.split for record in records} == set(SPLITS)
    homes = {}
    for record in records:
        homes.setdefault(template_of(record.text), set()).add(record.split)
    assert {len(own) for own in homes.values()} == {1}
    found = entity_audit.audit(data, layout="entity_spans", expected={})
    assert len(found["near_duplicates"]["groups"]) >= 8
    assert not any(found["near_duplicates"]["overlap"].values())


def test_near_duplicates_of_comments_are_counted(tmp_path):
    def record(split, number, text):
        target = entity.Target(f"{split}{number}.s", None, None, (*[0.0] * 27, 1.0), 1.0)
        return entity.Record(f"{split}{number}", text, split, (target,))

    records = [
        record("train", 1, "remind me in 2 days"),
        record("validation", 1, "quite another comment"),
        record("test", 1, "Remind me! in 30 days"),
    ]
    found = entity_audit.audit(
        entity.Data(Description(ENTITY_CLASSES), records), layout="goemotions", expected={}
    )
    assert found["near_duplicates"]["overlap"]["test_in_train"] == ["test1"]


def test_near_duplicates_of_cases_share_split_and_fold(tmp_path):
    summary_sample.write_longemotion(tmp_path / "raw", cases=20)
    [path] = (tmp_path / "raw").glob("*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows[:8]:
        copy = json.loads(json.dumps(row))
        copy["id"] = f"copy {row['id']}"
        copy["case_description"][0] += " It is case number 17."
        rows.append(copy)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    split = Split(validation=0.2, test=0.3, folds=4, seed=0)
    outputs = Outputs(tmp_path / "r", tmp_path / "q", tmp_path / "d")
    convert_cases(tmp_path / "raw", outputs, {"layout": "longemotion"}, split=split)
    by_id = {case.id: case for case in cases.read_cases(tmp_path / "r")}
    for row in rows[:8]:
        one, two = by_id[str(row["id"])], by_id[f"copy {row['id']}"]
        assert (one.split, one.fold, one.group) == (two.split, two.fold, two.group)
    found = summary_audit.audit(list(by_id.values()), [], {})
    assert len(found["near_duplicates"]["groups"]) >= 8
    assert found["duplicates"] == []
    assert found["overlap"] == {"validation": [], "test": []}
