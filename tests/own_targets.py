"""Tables of texts with the votes of annotators, or with numbers, for the tests."""

import csv
import random

CUES = {"anger": "shouting", "calm": "resting", "joy": "laughing"}
"""A word for each class."""

SMALL = {
    "models": {
        "bert-tiny": {
            "kind": "text-encoder",
            "title": "A tiny BERT with random weights",
            "licence": "MIT",
            "languages": ["en"],
            "parameters": 120_000,
            "size_mb": 1,
            "sources": [{"kind": "sample", "generator": "bert"}],
        }
    },
    "emotion": {"bootstrap": {"resamples": 100}, "label_noise": {"folds": 2}},
}
"""A tiny model, and little to compute."""

TINY_RUN = {
    "model": "bert-tiny",
    "max_length": 32,
    "training": {"epochs": 1, "batch_size": 32, "learning_rate": 0.001},
}


def sentence(generator, cue):
    """An English text with one word that matters."""
    syllables = [f"{one}{two}" for one in "bdfgklmnprst" for two in "aeiou"]
    names = ["".join(generator.choices(syllables, k=3)) for _ in range(4)]
    return f"this morning {names[0]} and {names[1]} were {cue} with {names[2]} about {names[3]}"


def voted_rows(count):
    """Three annotators who mostly agree, and leave out some texts."""
    generator = random.Random(0)
    for number in range(count):
        own = list(CUES)[number % 3]
        votes = [own if generator.random() < 0.8 else generator.choice(list(CUES)) for _ in "abc"]
        if generator.random() < 0.1:
            votes[generator.randrange(3)] = ""
        yield [f"n{number}", sentence(generator, CUES[own]), *votes]


def rated_rows(count, writers=20):
    """Valence and arousal that words of the text decide, and their writer."""
    generator = random.Random(1)
    words = {"grieving": -1.0, "worrying": -0.5, "waiting": 0.0, "singing": 0.5, "cheering": 1.0}
    for number in range(count):
        cue = generator.choice(list(words))
        valence = round(5 + 3 * words[cue] + generator.uniform(-0.5, 0.5), 3)
        arousal = round(abs(words[cue]) + generator.uniform(-0.1, 0.1), 3)
        yield [sentence(generator, cue), f"w{number % writers}", valence, arousal]


def write_table(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerows([header, *rows])


FEELINGS = {
    "anger": ("shouting", "standing"),
    "joy": ("laughing", "thinking"),
    "fear": ("trembling", "whistling"),
    "trust": ("leaning", "waiting"),
}
"""A word for each class of texts that may have several, and one of the same length without it."""


def tagged_rows(count, writers=20, separator=";"):
    """Texts of alike lengths with any number of classes, and their writer."""
    generator = random.Random(2)
    shares = {"anger": 0.35, "joy": 0.5, "fear": 0.2, "trust": 0.15}
    for number in range(count):
        own = {name for name in FEELINGS if generator.random() < shares[name]}
        cues = [words[name not in own] for name, words in FEELINGS.items()]
        sets = separator.join(name for name in FEELINGS if name in own)
        yield [sentence(generator, " and ".join(cues)), f"w{number % writers}", sets]
