"""A generated corpus in the layouts of dair-ai/emotion, with known defects planted in it.

The sentences are made from the word lists below by a seeded generator. They imitate the *form*
of the real corpus: lower-case first-person sentences, six classes, the same imbalance. About a
fifth of them name a second feeling that is not the label's ("i thought i would feel glad but
..."), some name none at all, and some words belong to two classes, so that a bag of words does
worse than a pretrained encoder and neither is perfect.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from affectlab.files.io import atomic_writer

LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")
"""Class names in the order of their ids."""

SHARES = {
    "sadness": 0.29,
    "joy": 0.33,
    "love": 0.09,
    "anger": 0.13,
    "fear": 0.11,
    "surprise": 0.05,
}
"""Share of each class, about that of the real corpus."""

LAYOUTS = ("semicolon", "parquet", "jsonl", "jsonl_gz", "csv")

FEELINGS = {
    "sadness": (
        "sad gloomy heartbroken empty miserable lonely hopeless dejected tearful desolate unwanted "
        "hollow mournful defeated low sorrowful worthless downcast numb melancholy forlorn "
        "disheartened broken crushed bleak wretched neglected bitter overwhelmed"
    ),
    "joy": (
        "happy cheerful glad delighted joyful content pleased merry upbeat thrilled blissful "
        "sunny proud jolly elated lighthearted grateful radiant peaceful hopeful satisfied "
        "optimistic triumphant playful festive refreshed tender blessed"
    ),
    "love": (
        "loving adored affectionate fond devoted cherished smitten caring romantic beloved "
        "infatuated passionate warmhearted treasured enamoured tender attached cuddly "
        "compassionate longing blessed"
    ),
    "anger": (
        "angry furious annoyed irritated mad outraged resentful hostile cross enraged irate "
        "livid grumpy spiteful fuming offended insulted bitter indignant provoked vengeful "
        "exasperated cranky hateful restless"
    ),
    "fear": (
        "afraid scared anxious nervous terrified worried frightened panicky uneasy threatened "
        "apprehensive timid alarmed petrified jittery insecure vulnerable fearful tense "
        "paranoid horrified restless overwhelmed shaken"
    ),
    "surprise": (
        "surprised amazed astonished stunned startled shocked astounded dumbfounded speechless "
        "dazed bewildered curious flabbergasted awestruck shaken"
    ),
}

CUES = {
    "sadness": (
        "i feel like nobody would notice if i stopped calling",
        "i feel like crying into my pillow",
        "i feel the weight of everything we lost",
        "i feel as if all the colour has gone out of the days",
    ),
    "joy": (
        "i feel like dancing round the kitchen",
        "i feel a big grin spreading over my face",
        "i feel as if the whole week is a holiday",
        "i feel like singing out loud",
    ),
    "love": (
        "i feel my heart melt each time you hold my hand",
        "i feel i would give anything to see her smile",
        "i feel so close to him that words are not needed",
    ),
    "anger": (
        "i feel like slamming every door in this house",
        "i feel my blood boil",
        "i feel like shouting at the next one who lies to me",
        "i feel that they cheated us and i want it paid back",
    ),
    "fear": (
        "i feel my hands tremble",
        "i feel as if something terrible is about to happen",
        "i feel like hiding under the bed",
        "i feel my stomach knot",
    ),
    "surprise": (
        "i feel like i have to pinch myself to believe it",
        "i feel my jaw drop",
        "i feel that i never saw it coming",
    ),
}

OPENINGS = (
    "i feel",
    "i am feeling",
    "i feel so",
    "i feel rather",
    "i just feel",
    "i woke up feeling",
    "i keep feeling",
    "i cant help feeling",
    "im feeling really",
    "i have been feeling",
    "i left the room feeling",
    "i must admit i feel",
    "i still feel a little",
    "i remember feeling",
    "i sat there feeling quite",
    "i started to feel",
)

TOPICS = (
    "the new flat",
    "my exam results",
    "the long drive home",
    "our old school",
    "this job",
    "the letter from the bank",
    "my sister and her plans",
    "the weather up here",
    "what the doctor said",
    "moving to another town",
    "the photos on the wall",
    "the last game of the season",
    "my first attempt at baking",
    "the neighbours and their dog",
    "the way the meeting went",
    "being back at the gym",
    "the story i am writing",
    "our talk on the phone",
    "turning thirty",
    "the train that never came",
)

EVENTS = (
    "after dinner with the family",
    "while i wait for the bus",
    "when i look out of the window",
    "every time the phone rings",
    "since the weekend",
    "before i even had breakfast",
    "as i walk through the park",
    "whenever we talk about it",
    "now that the term is over",
    "as soon as i close my laptop",
    "on my way to the office",
    "when the lights go out",
    "after three cups of coffee",
    "each time i read that message",
    "while the others are asleep",
    "and i do not know what to do with it",
    "and i wanted to write it down",
    "for no reason that i could name",
)

CONFUSED_WITH = {
    "sadness": ("anger", "fear"),
    "joy": ("love", "surprise"),
    "love": ("joy",),
    "anger": ("sadness", "fear"),
    "fear": ("sadness", "surprise"),
    "surprise": ("joy", "fear"),
}
"""The classes that a careless annotator gives instead."""


@dataclass(frozen=True, slots=True)
class Planted:
    """What `write_corpus` has put into a corpus; the audit must find the same."""

    train: int
    validation: int
    test: int
    conflicting_texts: int
    """Train texts that stand there with two labels."""
    duplicate_texts: int
    """Train texts that stand there twice with one label."""
    variant_texts: int
    """Train texts that stand there once more in capitals and with other spaces."""
    unique_train_texts: int
    test_texts_in_train: int
    validation_texts_in_train: int
    wrong_label_ids: tuple[str, ...]
    """Records of any split whose label was replaced by a wrong one."""


@dataclass(slots=True)
class _Item:
    text: str
    label: str
    wrong: bool = False


def write_corpus(
    directory: Path | str,
    *,
    seed: int = 0,
    train: int = 900,
    validation: int = 200,
    test: int = 200,
    layout: str = "semicolon",
    conflicting: int = 6,
    duplicates: int = 3,
    variants: int = 2,
    test_overlap: int = 5,
    validation_overlap: int = 0,
    wrong_label_share: float = 0.04,
) -> Planted:
    """Write a corpus into *directory* and say what was planted in it.

    Args:
        directory: is made if it does not exist.
        seed: the same seed and sizes give the same records in every layout.
        train, validation, test: records of each split, the planted ones included.
        layout: ``semicolon`` (train.txt, val.txt, test.txt with ``text;label``), ``parquet``,
            ``jsonl``, ``jsonl_gz`` or ``csv``.
        conflicting: train texts that are repeated in train with a second label.
        duplicates: train texts that are repeated in train with the same label.
        variants: train texts that are repeated in train in capitals and with other spaces.
        test_overlap, validation_overlap: texts of that split that also stand in train.
        wrong_label_share: share of the other records of each split that get a wrong label.

    Raises:
        ValueError: unknown layout, or sizes too small for six classes and what is planted.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}, expected one of {', '.join(LAYOUTS)}")
    planted_in_train = conflicting + duplicates + variants
    sizes = {
        "train": train - planted_in_train,
        "validation": validation - validation_overlap,
        "test": test - test_overlap,
    }
    copied = planted_in_train + test_overlap + validation_overlap
    if min(sizes.values()) < len(LABELS) or copied > sizes["train"]:
        raise ValueError("the splits are too small for six classes and what is planted in them")

    rng = random.Random(seed)
    taken: set[str] = set()
    splits = {
        split: _draw_split(rng, size, taken, wrong_label_share) for split, size in sizes.items()
    }
    # Copies are made of different records with the right label, so that the planted numbers add up.
    sources = rng.sample([item for item in splits["train"] if not item.wrong], copied)
    for number, source in enumerate(sources):
        if number < conflicting:
            other = rng.choice(CONFUSED_WITH[source.label])
            splits["train"].append(_Item(source.text, other))
        elif number < conflicting + duplicates:
            splits["train"].append(_Item(source.text, source.label))
        elif number < planted_in_train:
            splits["train"].append(_Item(source.text.upper().replace(" ", "  "), source.label))
        elif number < planted_in_train + test_overlap:
            splits["test"].append(_Item(source.text, source.label))
        else:
            splits["validation"].append(_Item(source.text, source.label))
    for items in splits.values():
        rng.shuffle(items)

    write_split = _WRITERS[layout]
    for split, items in splits.items():
        write_split(Path(directory), split, [(item.text, item.label) for item in items])
    return Planted(
        train=train,
        validation=validation,
        test=test,
        conflicting_texts=conflicting,
        duplicate_texts=duplicates,
        variant_texts=variants,
        unique_train_texts=train - conflicting - duplicates,
        test_texts_in_train=test_overlap,
        validation_texts_in_train=validation_overlap,
        wrong_label_ids=tuple(
            f"{split}-{number:05d}"
            for split, items in splits.items()
            for number, item in enumerate(items, start=1)
            if item.wrong
        ),
    )


def make_sentence(rng: random.Random, label: str) -> str:
    """One sentence of the class *label*."""
    feelings = FEELINGS[label].split()
    feeling = rng.choice(feelings)
    ending = rng.choice(("", f" about {rng.choice(TOPICS)}")) + rng.choice(
        ("", "", f" {rng.choice(EVENTS)}")
    )
    kind = rng.random()
    if kind < 0.10:
        return f"{rng.choice(CUES[label])}{ending}"
    if kind < 0.32:
        other_label = rng.choice([name for name in LABELS if name != label])
        other = rng.choice([word for word in FEELINGS[other_label].split() if word not in feelings])
        return rng.choice(
            (
                f"i thought i would feel {other} but i feel {feeling}{ending}",
                f"i feel {feeling}{ending} although i expected to be {other}",
                f"i used to feel {other} and these days i feel {feeling}{ending}",
                f"i feel {feeling} and not {other} at all{ending}",
                f"my brother says he is {other} while i feel {feeling}{ending}",
            )
        )
    if kind < 0.42:
        second = rng.choice([word for word in feelings if word != feeling])
        return f"{rng.choice(OPENINGS)} {feeling} and {second}{ending}"
    return f"{rng.choice(OPENINGS)} {feeling}{ending}"


def _draw_split(
    rng: random.Random, size: int, taken: set[str], wrong_label_share: float
) -> list[_Item]:
    """*size* records whose texts are not in *taken*, which grows by them."""
    items: list[_Item] = []
    for label, count in _apportion(size).items():
        for _ in range(count):
            text = make_sentence(rng, label)
            while text in taken:
                text = make_sentence(rng, label)
            taken.add(text)
            items.append(_Item(text, label))
    for item in rng.sample(items, round(wrong_label_share * size)):
        item.label = rng.choice(CONFUSED_WITH[item.label])
        item.wrong = True
    return items


def _apportion(size: int) -> dict[str, int]:
    """Share *size* (at least six) among the classes: at least one each, the rest to joy."""
    counts = {label: max(1, int(share * (size - len(LABELS)))) for label, share in SHARES.items()}
    counts["joy"] += size - sum(counts.values())
    return counts


def _write_semicolon(directory: Path, split: str, rows: list[tuple[str, str]]) -> None:
    name = {"train": "train.txt", "validation": "val.txt", "test": "test.txt"}[split]
    with atomic_writer(directory / name) as stream:
        stream.writelines(f"{text};{label}\n" for text, label in rows)


def _jsonl(rows: list[tuple[str, str]]) -> str:
    return "".join(
        json.dumps({"text": text, "label": LABELS.index(label)}) + "\n" for text, label in rows
    )


def _write_jsonl(directory: Path, split: str, rows: list[tuple[str, str]]) -> None:
    with atomic_writer(directory / f"{split}.jsonl") as stream:
        stream.write(_jsonl(rows))


def _write_jsonl_gz(directory: Path, split: str, rows: list[tuple[str, str]]) -> None:
    with atomic_writer(directory / "data" / f"{split}.jsonl.gz", "wb") as stream:
        stream.write(gzip.compress(_jsonl(rows).encode(), mtime=0))


def _write_csv(directory: Path, split: str, rows: list[tuple[str, str]]) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["text", "label"])
    writer.writerows(rows)
    with atomic_writer(directory / f"{split}.csv") as stream:
        stream.write(buffer.getvalue())


def _write_parquet(directory: Path, split: str, rows: list[tuple[str, str]]) -> None:
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table(
        {
            "text": [text for text, _ in rows],
            "label": pyarrow.array([LABELS.index(label) for _, label in rows], pyarrow.int64()),
        }
    )
    with atomic_writer(directory / "split" / f"{split}-00000-of-00001.parquet", "wb") as stream:
        parquet.write_table(table, stream)


_WRITERS: dict[str, Callable[[Path, str, list[tuple[str, str]]], None]] = {
    "semicolon": _write_semicolon,
    "parquet": _write_parquet,
    "jsonl": _write_jsonl,
    "jsonl_gz": _write_jsonl_gz,
    "csv": _write_csv,
}
