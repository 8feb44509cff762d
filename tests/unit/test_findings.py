"""The heading of a section, the effect of known items, and the order of the folded parts."""

from types import SimpleNamespace

import pytest

from affectlab.report import section
from affectlab.report.finding import finding, known_items
from affectlab.report.results import SeedResult


def line(verdict):
    shown = {"value": "0.800", "baseline": "0.300", "baseline_name": "commonest class"}
    return SimpleNamespace(run="minilm", score="accuracy", shown=shown, verdict=verdict)


@pytest.mark.parametrize(
    ("verdict", "end"),
    [
        ("beats", ", better than the strongest trivial baseline (0.300, commonest class)"),
        ("equal", ", not distinguishable from the strongest trivial baseline (0.300, commonest"),
        ("below", ", worse than the strongest trivial baseline (0.300, commonest class)"),
        ("seen", " on items that it was trained on"),
        ("none", ", without a trivial baseline"),
    ],
)
def test_a_heading_claims_what_the_verdict_says(verdict, end):
    assert finding(line(verdict)).startswith(f"minilm: accuracy 0.800{end}")


def seeds(*values, n=190, split="test_without_overlap"):
    return [
        SeedResult(
            None,
            {
                "data": {"split": "test", "n": 200},
                "metrics": {"accuracy": {"value": 0.8}},
                "other_splits": {
                    split: {"n": n, "metrics": {"accuracy": {"value": value, "ci": [0.6, 0.7]}}}
                },
            },
            {},
            None,
        )
        for value in values
    ]


MAIN = {"metric": "accuracy", "value": 0.8, "n": 200}


def test_the_score_without_known_items_is_next_to_the_score():
    assert known_items(seeds(0.65), MAIN).sentence == (
        "10 scored items are, or nearly so, in the training data. Without them, the accuracy of"
        " 0.800 becomes 0.650 (−0.150; interval 0.600–0.700; n = 190)."
    )
    # Several seeds have no common interval of these items.
    assert known_items(seeds(0.6, 0.7), MAIN).sentence.endswith("(−0.150; n = 190).")
    assert known_items(seeds(0.7, n=199), MAIN).sentence.startswith("1 scored item is, or nearly")


def test_no_known_item_has_no_effect():
    assert known_items(seeds(0.8, n=200), MAIN) is None
    assert known_items(seeds(0.8, split="validation"), MAIN) is None


def test_parts_have_one_order_and_empty_ones_are_left_out(tmp_path):
    template = tmp_path / "own.html.j2"
    template.write_text(
        "{% block data %}d{{ x }}{% endblock %}{% block runs %} {% endblock %}"
        "{% block scores %}s{% endblock %}"
    )
    found = section.joined(section.render_parts(template, x=1), {"data": "more", "errors": "e"})
    assert list(found.items()) == [("scores", "s"), ("errors", "e"), ("data", "d1more")]
    template.write_text("{% block scoers %}{% endblock %}")
    section._environment.cache_clear()
    with pytest.raises(ValueError, match="block scoers is none of scores, comparison"):
        section.render_parts(template)
