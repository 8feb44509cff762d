"""What a reader sees of a page or of a part of it."""

import html
import re

RAW = re.compile(r"\b[A-Za-z][A-Za-z0-9]*_\w+\b")


def shown_words(page):
    """Its text, with the labels of figures and without code, files and scripts."""
    labels = " ".join(re.findall(r'(?:aria-label|alt)="([^"]*)"', page))
    text = re.sub(r"<(style|script|pre|code)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return html.unescape(f"{re.sub('<[^>]+>', ' ', text)} {labels}")


def raw_keys(page, names=()):
    """Words that look like keys of a record; *names* of runs, data and classes are none."""
    return set(RAW.findall(shown_words(page))) - set(names)
