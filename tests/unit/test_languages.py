"""The language of texts: recognised where they are long enough, else not."""

import pytest

from affectlab.datasets.languages import recognised_language

TEXTS = {
    "de": ("Als ich gestern nach Hause ging, folgte mir ein Mann.", "ich bin müde", "so froh!!"),
    "en": ("When I was walking home last night a man followed me.", "I was so tired", "so happy"),
    "es": ("Cuando volvía a casa anoche un hombre me siguió.", "estoy muy cansada", "¡qué feliz!"),
    "fr": ("Quand je rentrais chez moi hier soir un homme m'a suivie.", "je suis fatigué", "trop"),
    "nl": ("Toen ik gisteravond naar huis liep volgde een man mij.", "wat ben ik moe", "zo blij!"),
    "pt": ("Quando voltava para casa ontem um homem me seguiu.", "estou tão cansado", "que dia"),
    "ru": (
        "Когда вчера вечером я шла домой, за мной шёл мужчина.",
        "мне очень грустно",
        "я так рад!",
    ),
    "sv": ("När jag gick hem igår kväll följde en man efter mig.", "jag är trött", "så glad!"),
}
"""Language -> a sentence, a few words, and too few of them."""


@pytest.mark.parametrize("language", TEXTS)
def test_a_sentence_is_recognised_and_a_word_or_two_are_not(language):
    sentence, some, few = TEXTS[language]
    assert recognised_language([sentence]) == language
    assert recognised_language([few]) is None
    # Of a few words it is right or not stated, and never another language.
    assert recognised_language([some]) in (language, None)


@pytest.mark.parametrize("language", TEXTS)
def test_short_texts_are_recognised_together(language):
    _, some, few = TEXTS[language]
    assert recognised_language([some, few]) == language


@pytest.mark.parametrize("text", ["", "!!!", "12345", "😀😀", "ok", "hahaha", "www.x.com"])
def test_what_is_in_no_language_is_not_recognised(text):
    assert recognised_language([text] * 40) is None


def test_short_texts_do_not_outvote_sure_ones():
    texts = [TEXTS["nl"][0], *["zo blij!"] * 20]
    assert recognised_language(texts) == "nl"


def test_texts_in_several_languages_have_none():
    assert recognised_language([sentence for sentence, _, _ in TEXTS.values()]) is None
