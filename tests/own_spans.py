"""Generated spans of a user's own, for the tests."""

import json
import random

WORDS = {
    "awe": "wide sky",
    "calm": "quiet lake",
    "grief": "empty chair",
    "joy": "bright feast",
    "rage": "bitter shout",
}
CLASSES = tuple(WORDS)
OTHERS = (
    *("the", "a", "while", "after", "garden", "ferry", "mill", "snow", "square", "choir", "market"),
    *("door", "guest", "inn", "letter", "coast", "lamp", "bridge", "harbour", "violin", "orchard"),
    *("kettle", "tower", "compass", "ladder", "they", "went", "saw", "made", "kept", "before"),
)


def rows_of(number):
    """Texts with two spans each, in five classes by turns; each of eleven authors has all."""
    rng = random.Random(0)
    rows = []
    for n in range(number):
        label, other = CLASSES[n % 5], CLASSES[(n + 1 + n // 5 % 3) % 5]
        middle, end = (" ".join(rng.choices(OTHERS, k=7)) for _ in range(2))
        rows.append(
            {
                "text": f"The {WORDS[label]} {middle} near the {WORDS[other]} {end} on day {n}.",
                "author": f"Writer {n // 5 % 11}",
                "spans": [
                    {"span": WORDS[label], "label": label},
                    {"span": WORDS[other], "label": [other, other, label]},
                ],
            }
        )
    return rows


def write(path, rows):
    """JSON Lines."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
