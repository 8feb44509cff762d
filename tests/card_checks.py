"""What must hold of the card of any experiment: the hub's format, and links that lead somewhere."""

import json
import re
from pathlib import Path

from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index

# Keys and ids of hf.co/docs/hub/model-cards (modelcard.md of huggingface/hub-docs) and hf.co/tasks.
KEYS = {
    *("language", "license", "license_name", "license_link", "library_name", "pipeline_tag"),
    *("tags", "datasets", "metrics", "base_model", "model-index"),
}
REQUIRED = {"license", "license_name", "license_link", "library_name", "tags", "model-index"}
TASKS = {
    *("audio-classification", "feature-extraction", "image-classification", "summarization"),
    "text-classification",
}
METRICS = {
    *("accuracy", "bleu", "chrf", "exact_match", "f1", "mae", "precision", "recall", "rouge"),
}
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
LINK = re.compile(r"\]\((?!https?://)([^)]+)\)")
FENCED = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def prose(text):
    """A card without its program."""
    return FENCED.sub("(program)", text)


def check_front_matter(text):
    """The front matter has only what the hub reads, and the hub reads all of it."""
    card = ModelCard(text)
    found = card.data.to_dict()
    assert found.keys() >= REQUIRED
    assert found.keys() <= KEYS
    assert (found["license"], found["license_link"]) == ("other", "LICENSE.md")
    assert set(found.get("metrics", ())) <= METRICS
    assert {found.get("pipeline_tag", "text-classification")} <= TASKS
    ids = [*found.get("datasets", ()), *([found["base_model"]] if "base_model" in found else ())]
    for one in ids:
        assert HUB_ID.fullmatch(one), one
    for result in card.data.eval_results:
        assert result.task_type in TASKS
        assert result.dataset_type == "custom" or HUB_ID.fullmatch(result.dataset_type)
        assert isinstance(result.metric_value, float)
    index = eval_results_to_model_index(card.data.model_name, card.data.eval_results)
    assert index == found["model-index"]
    return card


def check_card(folder: Path):
    """The files of a card belong together: pictures, program, terms."""
    text = (folder / "model_card.md").read_text()
    check_front_matter(text)
    links = LINK.findall(text)
    assert {"LICENSE.md"} < set(links)
    for link in links:
        assert (folder / link).stat().st_size > 0, link
    assert FENCED.findall(text) == [(folder / "inference_example.py").read_text()]
    for words in ("## Intended use", "## Limits and data problems"):
        assert words in text, words
    assert re.search(r"[Dd]o not use it (to|for)\b", text)
    record = json.loads((folder / "metrics.json").read_text())
    keys = [name for name in record["metrics"] if "_" in name]
    assert [key for key in keys if f"| {key} |" in text] == []
    return text
