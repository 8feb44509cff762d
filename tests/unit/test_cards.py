import ast
import json
from pathlib import Path

import pytest
import yaml
from card_checks import check_front_matter, prose
from example_programs import run_example
from huggingface_hub import ModelCard
from jinja2 import UndefinedError

from affectlab.config.schemas import schema_mistakes
from affectlab.emotion import card as emotion_card
from affectlab.emotion.data import CLASSES
from affectlab.emotion.settings import EmotionRun, Tfidf
from affectlab.evaluation.calibration import CalibrationError, calibration_metric
from affectlab.evaluation.expectations import differing
from affectlab.evaluation.records import SINGLE_RUN_INTERVALS, metric
from affectlab.files.io import write_json
from affectlab.report import model_cards

PROJECT = Path(__file__).parents[2]

RECIPE = EmotionRun(method="full", model="m", data="d", max_length=64)
TFIDF = EmotionRun(method="tfidf", data="d")
MODEL = {
    "title": "Some encoder",
    "licence": "Apache-2.0",
    "sources": [{"kind": "package"}, {"kind": "hub", "repo": "owner/encoder"}],
}
DATASET = {
    "title": "Some emotions",
    "version": "1",
    "licence": "not stated",
    "terms": "research only",
    "citation": "Somebody 2018",
    "facts": {"languages": ["en"], "labels": "Distant supervision by hashtags of tweets."},
    "sources": [{"kind": "hub", "repo": "dair-ai/emotion"}],
}


def make_record():
    names = ("accuracy", "macro_f1", "micro_f1", "macro_precision", "macro_recall")
    metrics = {
        name: metric(0.9 + place / 100, "higher", (0.85, 0.95), ("majority", 0.3))
        for place, name in enumerate(names)
    }
    for name in ("nll", "nll_calibrated"):
        metrics[name] = metric(0.04, "lower", (0.03, 0.05))
    for name in ("ece", "ece_calibrated"):
        metrics[name] = calibration_metric(CalibrationError(0.04, 0.03, 0.05, 0.06, 0.02))
    split = {"n": 110, "groups": 109, "metrics": metrics}
    return {
        "experiment": "emotion",
        "run": "minilm",
        "protocol": "corrected",
        "method": "full",
        "seed": 42,
        "task_version": 1,
        "data": {
            "name": "d",
            "sha256": "a" * 64,
            "split": "test",
            "n": 120,
            "groups": 119,
            "classes": list(CLASSES),
        },
        "model": {"name": "m", "revision": "abc", "sha256": "b" * 64},
        "interval": {
            "method": SINGLE_RUN_INTERVALS,
            "level": 0.95,
            "resamples": 2000,
            "seed": 0,
        },
        "metrics": metrics,
        "other_splits": {"validation": split, "test_without_overlap": split},
        "per_class": {
            name: {"precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 20, "predicted": 18}
            for name in CLASSES
        },
        "confusion_matrix": [
            [20 if row == column else 0 for column in range(6)] for row in range(6)
        ],
        "calibration": {"temperature": 1.3, "fitted_on": "validation", "bins": 15},
        "comparisons": [
            {
                "with": "tfidf",
                "seed": 0,
                "differences": {
                    "accuracy": {"value": 0.05, "ci": [0.03, 0.07]},
                    "macro_f1": {"value": 0.04, "ci": [0.01, 0.07]},
                },
                "mcnemar": {
                    "only_ours": 140,
                    "only_theirs": 40,
                    "exact_p": 1e-12,
                    "chi2": 55.0,
                    "chi2_p": 1e-13,
                },
            }
        ],
    }


def test_the_record_used_here_is_a_real_one():
    schema = json.loads((PROJECT / "workflow/schemas/metrics.schema.json").read_text())
    assert schema_mistakes(make_record(), schema) == []


def test_no_interval_is_rounded_to_one_of_everything():
    record = make_record()
    record["interval"]["level"] = 0.999
    assert "99.9 %, for new texts" in emotion_card.card(record, [], RECIPE, DATASET, MODEL)


def test_the_card_prints_the_spread_of_an_export():
    spread = {"items": 256, "largest": 0.11, "mean": 0.002, "changed_decisions": 0.0117}
    part = {"accuracy": 0.9, "macro_f1": 0.8, "batch_spread": spread}
    export = {"split": "test", "n": 1000, "formats": {"onnx_int8": part}}
    text = emotion_card.card(make_record(), [], RECIPE, DATASET, MODEL, export)
    assert "| onnx int8 | 0.900 | 0.800 | 0.110 | 0.012 |" in text
    assert "probabilities of 256 texts alone" in text
    assert "## Exports" not in emotion_card.card(make_record(), [], RECIPE, DATASET, MODEL)


def test_the_hub_reads_the_card_back_with_its_values():
    record = make_record()
    parsed = check_front_matter(emotion_card.card(record, [], RECIPE, DATASET, MODEL))
    assert parsed.data.metrics == ["accuracy", "f1", "precision", "recall"]
    assert parsed.data.base_model == "owner/encoder"
    assert parsed.data.datasets == ["dair-ai/emotion"]
    assert parsed.data.pipeline_tag == "text-classification"
    results = {result.metric_name: result for result in parsed.data.eval_results}
    for name, key in (
        ("accuracy", "accuracy"),
        ("macro-F1", "macro_f1"),
        ("calibration error, scaled", "ece_calibrated"),
    ):
        assert results[name].metric_value == record["metrics"][key]["value"]
        assert results[name].dataset_split == "test"
        assert results[name].dataset_type == "dair-ai/emotion"
    assert results["macro-F1"].metric_args == {"average": "macro"}


def test_the_card_tells_origin_ethics_and_results():
    text = emotion_card.card(make_record(), [], RECIPE, DATASET, MODEL)
    for words in (
        "Distant supervision",
        "Article 5(1)(f)",
        "surveillance",
        "hiring",
        "clinical",
        "n = 110",
        "| accuracy | 0.900 | 0.850–0.950 | 0.300 (commonest class) |",
        "| surprise | 0.900 | 0.800 | 0.850 | 20 |",
        "McNemar exact p = 1e-12",
    ):
        assert words in text, words
    assert "below the trivial baseline" not in text
    # A table is one block: no blank line between its rows.
    assert "|\n\n|" not in text
    assert "\n\n\n" not in prose(text)


def test_a_run_below_its_baseline_says_so_in_the_card():
    record = make_record()
    record["metrics"]["accuracy"] = metric(0.2, "higher", (0.1, 0.3), ("majority", 0.3))
    text = emotion_card.card(record, [], RECIPE, DATASET, MODEL)
    assert text.count("**below the trivial baseline**") == 1


def test_the_use_of_a_model_depends_on_what_it_reached():
    """Of good, unclear and bad scores, of training items, and of generated data."""

    def uses(value, ci, *, generated=False, **details):
        entry = metric(value, "higher", ci, ("majority", 0.3))
        record = {"metrics": {"accuracy": entry}, "details": details}
        return model_cards.use_sentences(record, "accuracy", "research", generated=generated)

    assert uses(0.9, (0.85, 0.95)) == ["Use it for research."]
    assert uses(0.4, (0.25, 0.5))[1:] == [
        "Do not rely on its predictions: its accuracy of 0.400 cannot be told from that of a"
        " trivial baseline, 0.300."
    ]
    assert "is worse than that of a trivial baseline" in uses(0.2, (0.1, 0.3))[1]
    assert "trained on the items" in uses(0.9, (0.85, 0.95), seen_in_training=True)[1]
    assert "not for real data" in uses(0.9, (0.85, 0.95), generated=True)[0]


def test_a_lower_score_is_clear_below_its_baseline():
    entry = metric(1.0, "lower", (0.9, 1.1), ("training_mean", 1.2))
    assert model_cards.is_clear(entry)
    assert not model_cards.is_clear(entry | {"ci": [0.9, 1.3]})


def test_weak_points_are_those_of_the_run():
    record = make_record()
    record["per_class"]["love"] |= {"f1": 0.1, "support": 1}
    joy = CLASSES.index("joy")
    record["confusion_matrix"][joy] = [5 if place else 15 for place in range(6)]
    record["metrics"]["macro_f1"] = metric(0.1, "higher", (0.05, 0.2), ("majority", 0.3))
    # Rows are labels: 15 of the 40 items of joy.
    assert model_cards.weak_points(record) == [
        "The class with the lowest F1 is love: 0.100 on 1 item.",
        f"The most frequent error: 0.375 of the items of class joy are predicted as {CLASSES[0]}.",
        "Worse than a trivial baseline: macro-F1.",
    ]


def test_the_terms_of_data_and_model_are_listed():
    data = {"d": model_cards.TrainingData(DATASET | {"terms": "look | measure"})}
    text = model_cards.licence_text("minilm", data, MODEL)
    assert "| Some emotions | not stated | look \\| measure |" in text
    assert "| Some encoder | Apache-2.0 | those of its licence |" in text
    assert "encoder" not in model_cards.licence_text("minilm", data, None)


def test_nothing_is_said_of_tweets_where_the_data_are_others():
    other = {key: value for key, value in DATASET.items() if key != "facts"}
    generated = other | {"sources": [{"kind": "sample", "generator": "emotion"}]}
    text = emotion_card.card(make_record(), [], TFIDF, generated, None)
    assert "tweets" not in text
    assert "seeded program" in text
    front = yaml.safe_load(text.split("---")[1])
    assert not {"datasets", "base_model"} & front.keys()
    unknown = other | {"sources": [{"kind": "url"}]}
    assert "tweets" not in emotion_card.card(make_record(), [], TFIDF, unknown, None)


def test_scores_on_a_copy_that_differs_are_not_given_to_the_data_set_of_the_hub():
    rows = [("train", "ok"), ("test", "differs"), ("duplicates", "differs")]
    audit = {"expected": [{"what": what, "status": status} for what, status in rows]}
    differs = differing(audit)
    assert differs == ["test", "duplicates"]
    text = emotion_card.card(make_record(), differs, RECIPE, DATASET, MODEL)
    assert "**This copy of the data is not what the registry describes**: it differs in" in text
    assert "differs in test, duplicates. " in text
    (result, *_) = ModelCard(text).data.eval_results
    assert result.dataset_type == "custom"
    assert result.dataset_name == f"{DATASET['title']}, a copy that differs"
    assert "not what the registry" not in emotion_card.card(
        make_record(), [], RECIPE, DATASET, MODEL
    )


def test_a_template_that_lacks_a_value_is_an_error(tmp_path):
    (tmp_path / "t.j2").write_text("{{ here }} {{ absent }}")
    with pytest.raises(UndefinedError, match="absent"):
        model_cards.render(tmp_path / "t.j2", here=1)


def test_front_matter_keeps_its_order_and_letters():
    text = model_cards.with_front_matter({"b": "ä", "a": [1]}, "\n# Title\n")
    assert text == "---\nb: ä\na:\n- 1\n---\n\n# Title\n"


def write_files(folder, recipe, model):
    write_json(folder / "metrics.json", make_record())
    write_json(folder / "audit.json", {"expected": []})
    emotion_card.write_card(
        metrics_path=folder / "metrics.json",
        export_path=None,
        audit_path=folder / "audit.json",
        recipe=recipe,
        dataset=DATASET,
        model=model,
        card_path=folder / "model_card.md",
        example_path=folder / "inference_example.py",
        licence_path=folder / "LICENSE.md",
    )
    assert (folder / "model_card.md").read_text().startswith("---\n")
    ast.parse((folder / "inference_example.py").read_text())


@pytest.mark.parametrize("kind", ["bert", "qwen3"])
def test_the_example_of_a_network_runs_without_affectlab(tmp_path, kind):
    """It gives what the model itself says of the same texts."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from affectlab.samples import models

    getattr(models, f"write_tiny_{kind}")(tmp_path / "base")
    labels = dict(enumerate(CLASSES))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    model = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "base",
        num_labels=6,
        id2label=labels,
        label2id={name: number for number, name in labels.items()},
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    write_files(tmp_path, RECIPE, MODEL)

    texts = ["i feel happy today", "i feel so very afraid of this"]
    rows = [line.split("\t") for line in run_example(tmp_path, *texts, affectlab=False)]
    assert [row[2] for row in rows] == texts
    for label, probability, text in rows:
        with torch.inference_mode():
            logits = model(**tokenizer([text], return_tensors="pt")).logits[0]
        expected = logits.softmax(dim=-1)
        assert label == CLASSES[int(expected.argmax())]
        assert float(probability) == pytest.approx(float(expected.max()), abs=2e-3)
    assert len(run_example(tmp_path, affectlab=False)) == 3


def test_the_example_of_word_counts_runs(tmp_path):
    import random

    from affectlab.emotion import tfidf
    from affectlab.samples.emotion import make_sentence

    generator = random.Random(0)
    labels = [name for name in CLASSES for _ in range(12)]
    texts = [make_sentence(generator, name) for name in labels]
    pipeline = tfidf.build_pipeline(Tfidf(min_df=1, C=10.0, class_weight=None)).fit(texts, labels)
    tfidf.save(pipeline, tmp_path / "model")
    write_files(tmp_path, TFIDF, None)
    (line,) = run_example(tmp_path, texts[0])
    label, probability, text = line.split("\t")
    expected = pipeline.predict_proba([texts[0]])[0]
    assert label == pipeline.classes_[expected.argmax()]
    assert float(probability) == pytest.approx(expected.max(), abs=1e-3)
    assert text == texts[0]


def test_equal_input_gives_equal_cards(tmp_path):
    first, second = tmp_path / "one", tmp_path / "two"
    for folder in (first, second):
        folder.mkdir()
        write_files(folder, RECIPE, MODEL)
    for name in ("model_card.md", "inference_example.py", "LICENSE.md"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_shipped_registries_have_what_the_card_needs():
    for name, known in (("datasets", DATASET), ("models", MODEL)):
        for entry in yaml.safe_load((PROJECT / "config" / f"{name}.yaml").read_text()).values():
            assert set(known) - {"facts"} <= set(entry)
            json.dumps(entry)
