"""Language, tokens and sentences of Chinese and English texts."""

import pytest
from rouge_score.tokenizers import DefaultTokenizer

from affectlab.summary.text import characters, default_unit, detect_language, sentences, tokens


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("She spoke of her mother.", "en"),
        ("她谈到了母亲。", "zh"),
        ("她今天用了 CBT。", "mixed"),
        ("她谈到了母亲，" * 40 + " CBT", "zh"),
        ("Она говорила о матери.", "other"),
        ("12, 13.", "other"),
        ("Sie sprach lange über ihre Mutter und war danach sehr müde.", "other"),
        ("Elle a parlé de sa mère pendant toute la séance.", "other"),
        ("Ze sprak over haar moeder en was in de war.", "other"),
        ("Ella habló de su madre y de su trabajo.", "other"),
        ("Lei ha parlato di sua madre e del lavoro.", "other"),
        ("Sad.", "other"),
        ("I feel sad because my mother does not call.", "en"),
    ],
)
def test_language(text, language):
    assert detect_language(text) == language


def test_english_words_are_those_of_rouge_score():
    text = "It's Dr. O'Neil's 3rd visit, at the café: 50% better!"
    assert tokens(text, "en") == DefaultTokenizer(use_stemmer=False).tokenize(text)


def test_chinese_by_characters_and_by_words():
    text = "我在2024年用 CBT，感觉好多了。"
    assert tokens(text, "zh", "characters") == [*"我在", "2024", "年", "用", "cbt", *"感觉好多了"]
    words = tokens(text, "zh", "words")
    assert "感觉" in words
    assert "，" not in words
    assert "".join(words) == "我在2024年用cbt感觉好多了"


def test_blanks_stay_between_words_of_other_scripts_alone():
    text = "她说 I feel\n low，今天 又用了 CBT 。 好 A, B"
    assert "".join(characters(text)) == "她说I feel low，今天又用了CBT。好A,B"
    assert tokens("".join(characters(text)), "mixed", "characters") == tokens(
        text, "mixed", "characters"
    )


def test_the_unit_of_the_headline():
    assert [default_unit(name) for name in ("en", "zh", "mixed")] == [
        "words",
        "characters",
        "characters",
    ]


def test_sentences():
    assert sentences('He left. "Go!" Then? No') == ["He left.", '"Go!', "Then?", "No"]
    assert sentences("是的。不，我来！\n好") == ["是的。", "不，我来！", "好"]
    assert sentences("It took 3.5 hours.") == ["It took 3.5 hours."]
