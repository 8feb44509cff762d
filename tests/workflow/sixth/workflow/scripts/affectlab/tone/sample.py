"""A seeded generator of a small corpus: ``tone.csv`` with the columns text, label and split."""

from __future__ import annotations

import csv
import random
from pathlib import Path

from affectlab.files.io import atomic_writer

WORDS = {
    "friendly": ("thanks", "lovely", "kind", "welcome", "gladly"),
    "hostile": ("stupid", "shut", "liar", "awful", "leave"),
}
COMMON = ("you", "your", "the", "this", "again", "today", "letter", "answer")
TEXTS = {"train": 200, "validation": 80, "test": 80}
OFF = 0.15
"""Share of the texts whose words are those of the other label."""


def write_corpus(directory: Path | str, *, seed: int = 0) -> None:
    """Write ``tone.csv`` into *directory*; the same seed gives the same bytes."""
    generator = random.Random(seed)
    with atomic_writer(Path(directory) / "tone.csv") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["text", "label", "split"])
        for split, count in TEXTS.items():
            for number in range(count):
                label = list(WORDS)[number % 2]
                other = list(WORDS)[1 - number % 2]
                words = WORDS[other if generator.random() < OFF else label]
                chosen = generator.sample(COMMON, 5) + generator.sample(words, 2)
                generator.shuffle(chosen)
                writer.writerow([" ".join(chosen), label, split])
