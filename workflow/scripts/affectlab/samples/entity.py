"""Generated corpora in the layouts of the entity experiment: labelled spans, and GoEmotions.

Every sentence names people and things, and says how one of them feels; a seeded generator makes
it from the word lists below. As in the real span corpus most spans are neutral: what somebody is
angry *about* carries no label of its own. No sentence is real.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

from affectlab.entity.labels import CLASSES, GOEMOTIONS_CLASSES, NEUTRAL
from affectlab.files.io import atomic_writer, write_text

FEELINGS = {
    "admiration": "full of admiration|in awe|deeply impressed",
    "amusement": "amused|laughing out loud|giggling",
    "approval": "in favour|approving|all for it",
    "caring": "caring|protective|full of sympathy",
    "desire": "longing|craving more|full of desire",
    "excitement": "excited|thrilled|buzzing",
    "gratitude": "grateful|thankful|much obliged",
    "joy": "happy|joyful|delighted",
    "love": "in love|loving|full of love",
    "optimism": "hopeful|optimistic|looking forward",
    "pride": "proud|full of pride|triumphant",
    "relief": "relieved|at ease at last|breathing again",
    "anger": "angry|furious|enraged",
    "annoyance": "annoyed|irritated|fed up",
    "disappointment": "disappointed|let down|disillusioned",
    "disapproval": "disapproving|against it|opposed",
    "disgust": "disgusted|revolted|sickened",
    "embarrassment": "embarrassed|ashamed|mortified",
    "fear": "afraid|terrified|scared",
    "grief": "grieving|in mourning|bereft",
    "nervousness": "nervous|anxious|on edge",
    "remorse": "sorry|full of remorse|guilty",
    "sadness": "sad|tearful|heartbroken",
    "confusion": "confused|puzzled|lost",
    "curiosity": "curious|wondering|eager to know",
    "realization": "suddenly aware|struck by the truth|realizing it",
    "surprise": "surprised|astonished|amazed",
}
"""Words for each class but neutral, parted by ``|``."""

NEIGHBOURS = {
    "joy": "excitement",
    "anger": "annoyance",
    "annoyance": "anger",
    "fear": "nervousness",
    "nervousness": "fear",
    "sadness": "disappointment",
    "disappointment": "sadness",
    "curiosity": "confusion",
    "confusion": "curiosity",
    "gratitude": "relief",
}
"""A class that some of the label goes to."""

NAMES = ("Ada", "Bertrand", "Chiara", "Dmitri", "Elif", "Femi", "Greta", "Hassan", "Ingrid", "Jun")
THINGS = (
    "the old clock",
    "the letter",
    "the harbour",
    "the bread",
    "the piano",
    "the garden",
    "the map",
    "the lantern",
    "the recipe",
    "the bridge",
)
DEEDS = ("mended", "carried", "painted", "found", "sold", "borrowed", "weighed", "described")

NEUTRAL_SHARE = 0.6
"""Of the sentences that name no feeling at all."""


def write_spans(
    directory: Path | str, *, seed: int = 0, texts: int = 420, generation: str = "v2"
) -> None:
    """Write ``spans.jsonl`` in the layout of the span corpus.

    Args:
        directory: is made if it does not exist.
        seed: the same seed gives the same bytes.
        texts: how many lines.
        generation: ``v1`` (labels sum to 1, intensity is their largest value) or ``v2`` (not
            normalised, intensity is the L2 norm).
    """
    rng = random.Random(seed)
    with atomic_writer(Path(directory) / "spans.jsonl") as stream:
        for _ in range(texts):
            stream.write(json.dumps(_record(rng, generation), ensure_ascii=False) + "\n")


def write_spans_1800(directory: Path | str, *, seed: int = 0) -> None:
    """Write a larger corpus of spans, see `write_spans`."""
    write_spans(directory, seed=seed, texts=1385)


def write_goemotions(
    directory: Path | str,
    *,
    seed: int = 0,
    train: int = 900,
    validation: int = 150,
    test: int = 150,
) -> None:
    """Write ``train.tsv``, ``dev.tsv``, ``test.tsv`` and ``emotions.txt`` as GoEmotions has them.

    Args:
        directory: is made if it does not exist.
        seed: the same seed gives the same bytes.
        train, validation, test: sentences of each split.
    """
    rng = random.Random(seed)
    folder = Path(directory)
    for file, size in (("train.tsv", train), ("dev.tsv", validation), ("test.tsv", test)):
        with atomic_writer(folder / file) as stream:
            for number in range(size):
                text, ids = _sentence(rng)
                stream.write(f"{text}\t{','.join(map(str, ids))}\tx{number:06d}\n")
    write_text(folder / "emotions.txt", "\n".join(GOEMOTIONS_CLASSES) + "\n")


def _record(rng: random.Random, generation: str) -> dict[str, object]:
    """One line of the span corpus: a person who feels something or does not, and a thing."""
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    feeling = None if rng.random() < NEUTRAL_SHARE else rng.choice(list(FEELINGS))
    if feeling is None:
        text = rng.choice(
            (
                f"{name} {rng.choice(DEEDS)} {thing} before noon.",
                f"On Monday {name} {rng.choice(DEEDS)} {thing}.",
            )
        )
    else:
        words = _words(rng, feeling)
        text = rng.choice(
            (
                f"{name} was {words} when {thing} arrived.",
                f"Because of {thing}, {name} felt {words} all day.",
                f"{name} is {words}; {thing} stands by the door, {name} says.",
            )
        )
    targets = []
    # The last mention of a person, so that not every span is the first of its words.
    for words, own, find in ((name, feeling, text.rfind), (thing, None, text.find)):
        start = find(words)
        label = _soft_label(rng, own, generation)
        intensity = max(label) if generation == "v1" else math.hypot(*label)
        targets.append(
            {
                "span_text": words,
                "char_start": start,
                "char_end": start + len(words),
                "soft_label": label,
                "intensity": intensity,
            }
        )
    return {"text": text, "targets": targets}


def _soft_label(rng: random.Random, feeling: str | None, generation: str) -> list[float]:
    label = [0.0] * len(CLASSES)
    if feeling is None:
        label[NEUTRAL] = rng.choice((1.0, 1.0, 0.9))
    else:
        label[CLASSES.index(feeling)] = rng.choice((0.6, 0.7, 0.8, 0.9))
        label[CLASSES.index(NEIGHBOURS.get(feeling, "neutral"))] = rng.choice((0.1, 0.2))
    if generation == "v1":
        total = sum(label)
        label = [value / total for value in label]
    return label


def _sentence(rng: random.Random) -> tuple[str, list[int]]:
    """One sentence of GoEmotions' kind, with the ids of its one or two classes."""
    thing = rng.choice(THINGS)
    if rng.random() < 0.3:
        text = f"I {rng.choice(DEEDS)} {thing} on {rng.choice(('Monday', 'Friday'))}."
        return text, [GOEMOTIONS_CLASSES.index("neutral")]
    feeling = rng.choice(list(FEELINGS))
    second = NEIGHBOURS.get(feeling)
    if second is not None and rng.random() < 0.3:
        text = f"I am {_words(rng, feeling)} and {_words(rng, second)} about {thing}."
        return text, sorted(GOEMOTIONS_CLASSES.index(name) for name in (feeling, second))
    opening = rng.choice(("I am", "I feel", "Honestly I was", "We are"))
    return f"{opening} {_words(rng, feeling)} about {thing}.", [GOEMOTIONS_CLASSES.index(feeling)]


def _words(rng: random.Random, feeling: str) -> str:
    return rng.choice(FEELINGS[feeling].split("|"))
