"""Generated German texts in four classes, as a user's own table."""

import csv
import random
from pathlib import Path

CLASSES = ("Angst", "Freude", "Ruhe", "Wut")
CUES = {"Angst": "zittere", "Freude": "lacheln", "Ruhe": "atmende", "Wut": "schreie"}
"""A word of each class, all of one length, so that the length of a text tells nothing."""


def rows_of(count: int, authors: int = 12) -> list[dict[str, str]]:
    """Different texts, four classes in turn, every author with all of them."""
    generator = random.Random(0)
    syllables = [f"{one}{two}" for one in "bdfgklmnprst" for two in "aeiou"]
    words = ["".join(generator.choices(syllables, k=3)) for _ in range(300)]
    return [
        {
            "tweet": " ".join([CUES[CLASSES[n % 4]], *generator.sample(words, 5)]),
            "emo": CLASSES[n % 4],
            "who": f"a{n // 4 % authors}",
        }
        for n in range(count)
    ]


def write_csv(folder: Path, rows: list[dict[str, str]], name: str = "mine.csv") -> Path:
    """Write *rows* as a table into *folder*, which is returned."""
    folder.mkdir(exist_ok=True)
    with (folder / name).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder
