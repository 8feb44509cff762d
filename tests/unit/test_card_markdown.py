"""Text that code and templates put together in a card: its lists stay lists, its spaces stay."""

from affectlab.report import model_cards

GENERATED = {"title": "T", "sources": [{"kind": "sample"}], "facts": {"languages": ["en"]}}
FOREIGN = {
    "title": "T",
    "sources": [],
    "expected": {"counts": {"train": 1}},
    "facts": {"about": "texts | of [users](https://example.org)"},
}


def rendered(tmp_path, template, **values):
    path = tmp_path / "card.md.j2"
    path.write_text(template)
    return model_cards.render(path, **values)


def test_what_is_known_of_the_data_is_a_list(tmp_path):
    text = rendered(tmp_path, "{{ about }}\n", about=model_cards.describe_data("x", GENERATED, []))
    assert text.splitlines() == [
        "- A seeded program made the data. They are of no person.",
        "- Language: en.",
    ]


def test_facts_of_a_registry_are_no_markdown(tmp_path):
    text = rendered(tmp_path, "{{ about }}", about=model_cards.describe_data("x", FOREIGN, []))
    assert "- Content: texts \\| of \\[users\\](https://example.org)." in text


def test_the_name_of_an_entry_is_code(tmp_path):
    title = model_cards.data_title("a_b", FOREIGN, ["counts"])
    assert rendered(tmp_path, "{{ title }}", title=title).endswith("entry `a_b`")
    about = model_cards.describe_data("a_b", FOREIGN, ["counts"])
    assert "registry entry `a_b`." in rendered(tmp_path, "{{ about }}", about=about)


def test_a_space_that_joins_words_stays(tmp_path):
    template = "adapters{{ ' on 4-bit weights' if yes }} (rank {{ rank }})"
    assert rendered(tmp_path, template, yes=True, rank=8) == "adapters on 4-bit weights (rank 8)"
    assert model_cards.escaped("  # no heading\n") == " \\# no heading "
