import base64
import csv
import hashlib
import html
import json
import re
import shutil
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from platform import python_version

import numpy as np
import pytest
import yaml
from emotion_tables import converted, data_in
from page_words import raw_keys
from scored_runs import scored_run

from affectlab.config.models import Bootstrap
from affectlab.emotion import evaluate as ev
from affectlab.emotion.audit import write_audit
from affectlab.emotion.compare import compare
from affectlab.emotion.data import CLASSES
from affectlab.emotion.settings import EmotionRun
from affectlab.errors import DataError
from affectlab.evaluation import plots
from affectlab.experiments import EXPERIMENTS, read_config
from affectlab.files.io import read_json, write_json, write_jsonl, write_text
from affectlab.report import page, results, section, words
from affectlab.report.overview import Place
from affectlab.samples.emotion import write_corpus
from affectlab.training.history import read_history

PROJECT = Path(__file__).parents[2]
SCHEMAS = PROJECT / "workflow" / "schemas"
BOOTSTRAP = {"resamples": 100, "level": 0.95, "seed": 0}
RUNS = {
    "strong": {"protocol": "corrected", "method": "full", "model": "tiny", "seeds": [1, 2]},
    "weak": {"protocol": "published", "method": "tfidf", "seeds": [0]},
}
SKILL = {"strong": 0.92, "weak": 0.05}
REFERENCES = [
    {
        "experiment": "emotion",
        "id": "other",
        "name": "Another <model>",
        "data": "made",
        "split": "test",
        "n": 200,
        "metric": "accuracy",
        "value": 0.9,
        "verified": True,
        "source": "a paper",
        "url": "https://example.org/paper",
    },
    {
        "experiment": "emotion",
        "id": "card",
        "name": "A card",
        "data": "made",
        "split": "validation",
        "n": 2000,
        "metric": "accuracy",
        "value": 0.95,
        "verified": False,
        "source": "a card",
        "runs": ["strong"],
    },
    {
        "experiment": "emotion",
        "id": "elsewhere",
        "name": "Of other data",
        "data": "something else",
        "split": "test",
        "n": 10,
        "metric": "accuracy",
        "value": 0.5,
        "verified": True,
        "source": "a paper",
    },
]
EXPORT = {
    "reference": "pytorch",
    "formats": {
        "onnx_int8": {
            "accuracy": 0.9,
            "latency_ms": {"median": 2.2, "p95": 2.9},
            "bytes": 23000000,
        },
        "pytorch": {"accuracy": 0.91, "latency_ms": {"median": 6.1, "p95": 7.2}, "bytes": 91000000},
    },
    "split": "test",
    "n": 200,
}
NOISE = {
    "method": "confident learning (cleanlab), self-confidence",
    "records": 900,
    "noise_rate": 0.043,
    "out_of_fold_accuracy": 0.7,
    "issues": 40,
    "issues_by_class": dict.fromkeys(CLASSES, 6),
    "conflicting_texts": {"texts": 6, "lowest": 40, "in_lowest": 5, "expected_by_chance": 0.5},
}
TRAINING = {
    "seconds": 61.5,
    "device": "cpu",
    "peak_memory_mb": 812.04,
    "peak_device_memory_mb": None,
    "time": "2026-01-02T03:04:05Z",
    "host": "trainer",
    "platform": "Linux",
    "python": "3.11.4",
    "packages": {"numpy": "2.1.0"},
    "git": {"commit": "c" * 40, "dirty": False},
}
HISTORY = """step,epoch,split,loss,accuracy,learning_rate,macro_f1,samples_per_second
10,0.5,train,1.2,,0.0002,,190
20,1,validation,0.6,0.8,,0.7,
"""


def predict(path, records, skill, seed):
    generator = np.random.default_rng(seed)
    lines = []
    for record in records:
        if record.split == "train":
            continue
        logits = generator.normal(size=6)
        truth = CLASSES.index(record.label)
        logits[truth if generator.random() < skill else (truth + 1) % 6] += 5
        probabilities = np.exp(logits) / np.exp(logits).sum()
        lines.append(
            {
                "id": record.id,
                "split": record.split,
                "label": record.label,
                "prediction": CLASSES[int(np.argmax(probabilities))],
                "probabilities": dict(zip(CLASSES, map(float, probabilities), strict=True)),
            }
        )
    write_jsonl(path, lines)


def make_results(root):
    """A results folder as the workflow leaves it: two runs, one of them worse than trivial."""
    folder, data = root / "results" / "emotion", root / "results" / "emotion" / "data" / "made"
    write_corpus(root / "raw")
    outputs = converted(root / "raw", data)
    corpus = data_in(data)
    expected = {"counts": {"train": 900, "test": 201}, "known_issues": {"conflicting_texts": 6}}
    write_audit(corpus, outputs.quarantine, data / "audit.json", expected)
    write_json(data / "label_noise.json", NOISE)
    files = []
    for name, run in RUNS.items():
        for seed in run["seeds"]:
            out = folder / name / f"seed{seed}"
            predict(out / "predictions.jsonl", corpus.records, SKILL[name], seed)
            write_json(out / "training.json", TRAINING)
            ev.evaluate(
                scored_run(
                    out,
                    EmotionRun(**run, data="made"),
                    name=name,
                    seed=seed,
                    training_path=out / "training.json",
                ),
                predictions_path=out / "predictions.jsonl",
                data=corpus,
                data_paths=(outputs.records,),
                audit_path=data / "audit.json",
                baseline=None,
                text_path=out / "evaluation_results.txt",
                figures=out / "figures",
            )
            files.append(out)
    write_text(root / "history.csv", HISTORY)
    plots.training_curves(
        folder / "strong" / "seed1" / "figures" / "training_curves",
        read_history(root / "history.csv", optional=plots.CURVES),
    )
    write_json(folder / "strong" / "seed1" / "export" / "export.json", EXPORT)
    compare(
        metrics_paths=[out / "metrics.json" for out in files],
        predictions_paths=[out / "predictions.jsonl" for out in files],
        data={"made": corpus},
        baseline="weak",
        bootstrap=Bootstrap(**BOOTSTRAP),
        schema=SCHEMAS / "comparison.schema.json",
        output_path=folder / "comparison.json",
    )
    config = {
        "experiments": ["emotion"],
        "datasets": {"made": {}},
        "emotion": {
            "selected": list(RUNS),
            "baseline": "weak",
            "export": ["strong"],
            "runs": {name: {**run, "data": "made"} for name, run in RUNS.items()},
        },
    }
    write_text(root / "results" / "config.yaml", yaml.safe_dump(config))
    return root / "results"


def build(folder, sample_data=()):
    page.build(
        experiments=EXPERIMENTS,
        results=folder,
        reference_results=REFERENCES,
        sample_data=sample_data,
        place=Place("../Snakefile", "results"),
        page_path=folder / "report" / "index.html",
        table_path=folder / "tables" / "results.csv",
        scores_path=folder / "report" / "scores",
        audits_path=folder / "report" / "audits",
    )
    return (folder / "report" / "index.html").read_text()


def copy_unsealed(source, target):
    """Copy results without their digests, so that a test may change them."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*.sha256"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def text(folder):
    return build(folder)


class Page(HTMLParser):
    """What the tests ask of the page: its elements with attributes, and whether they close."""

    VOID = frozenset({"meta", "link", "img", "br", "input"})

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.mismatched = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), list(self.open)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.mismatched.append(tag)

    def all(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]


def test_a_score_that_rounds_to_nought_has_no_sign():
    numbers = {"score": -1e-9, "limits": (-1e-9, 0.25)}
    environment = section._environment(section.HERE)
    shown = {
        name: environment.from_string(f"{{{{ value | {name} }}}}").render(value=value)
        for name, value in numbers.items()
    }
    assert shown == {"score": "0.000", "limits": "0.000–0.250"}


def test_what_trained_a_run_is_told_beside_what_scored_it(text):
    row = re.search(r'<tr><th scope="row">strong<small>emotion, seed 1.*?</tr>', text, re.DOTALL)
    assert f"{'c' * 12}</span><small>training</small>" in row.group(0)
    assert "2026-01-02T03:04:05Z<small>trainer</small>" in row.group(0)
    assert "<small>peak memory: 812.0 MB</small>" in row.group(0)
    assert f"<dt>python</dt><dd>{', '.join(sorted({'3.11.4', python_version()}))}</dd>" in text
    numpy = ", ".join(sorted({"2.1.0", version("numpy")}))
    assert f"<dt>numpy</dt><dd>{numpy}</dd>" in text


def test_an_export_has_a_column_for_each_format_the_reference_first(text):
    table = re.search(r'id="t-emotion-export-strong1".*?</table>', text, re.DOTALL).group(0)
    rows = [
        [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)
    ]
    assert rows == [
        ["measure", "pytorch", "onnx int8"],
        ["accuracy", "0.91", "0.9"],
        ["bytes", "91,000,000", "23,000,000"],
        ["latency ms, median", "6.1", "2.2"],
        ["latency ms, p95", "7.2", "2.9"],
    ]


def test_the_page_needs_nothing_from_elsewhere(text):
    parsed = Page(text)
    # Its own script runs, and no other one.
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'\"" in text
    for tag, attributes, _ in parsed.elements:
        for key in ("src", "href", "srcset", "data", "action"):
            address = attributes.get(key)
            if address is not None:
                assert address.startswith(("data:", "#", "../emotion/", "../config.yaml")) or (
                    # A reader may follow the link to a source; the page loads nothing from there.
                    (tag, address) == ("a", "https://example.org/paper")
                ), (tag, address)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL).group(1)
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_is_well_formed_and_accessible(text):
    parsed = Page(text)
    assert parsed.mismatched == []
    assert parsed.open == []
    assert parsed.all("html")[0]["lang"] == "en"
    assert len(parsed.all("h1")) == 1
    images = [drawn for drawn in parsed.all("svg") if drawn.get("class") == "plot"]
    # A reliability diagram for each run, curves for the one that has steps.
    assert len(images) == 3
    assert all(len(image["aria-label"]) > 20 for image in images)
    assert parsed.all("img") == []
    assert "#emotion-strong-confusion_matrix" in [one["href"] for one in parsed.all("a")]
    assert len(parsed.all("caption")) == len(parsed.all("table")) > 8
    # A wide table scrolls in a box of its own, which the keyboard reaches.
    boxes = [a for a in parsed.all("div") if a.get("class") == "scroll"]
    # The table of all runs and those in its rows turn into lists where they are too wide.
    assert len(boxes) == len(parsed.all("table")) - 1 - len(RUNS)
    assert all(box["tabindex"] == "0" for box in boxes)
    ids = [attributes["id"] for _, attributes, _ in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    addresses = [address["href"] for address in parsed.all("a")]
    assert {address[1:] for address in addresses if address[0] == "#"} <= set(ids)
    labelled = {a["aria-labelledby"] for _, a, _ in parsed.elements if "aria-labelledby" in a}
    assert labelled <= set(ids)


def test_the_page_shows_the_measured_values(text, folder):
    comparison = read_json(folder / "emotion" / "comparison.json")
    for run in comparison["runs"]:
        for name in ("accuracy", "macro_f1"):
            entry = run["metrics"][name]
            assert f"<b>{entry['mean']:.3f}</b>" in text
            assert f"{entry['ci'][0]:.3f}–{entry['ci'][1]:.3f}" in text
    record = read_json(folder / "emotion" / "strong" / "seed1" / "metrics.json")
    assert f"{record['per_class']['love']['recall']:.3f}" in text
    rest = record["other_splits"]["test_without_overlap"]["metrics"]["accuracy"]["value"]
    assert f"{rest:.3f}" in text
    assert record["data"]["sha256"][:16] in text
    wrong = round((1 - record["metrics"]["accuracy"]["value"]) * record["data"]["n"])
    assert (
        f"Errors of strong, seed 1, on made, the surest first: {min(wrong, 20)} of {wrong}" in text
    )
    for shown in ("23,000,000", "median", "0.043", "peak memory: 812.0 MB", "confident"):
        assert shown in text, shown


def test_no_raw_key_reaches_a_reader(text):
    assert raw_keys(text, {"x86_64"}) == set()


def test_what_differs_from_the_registry_stands_out(text):
    rows = re.findall(r"<tr><th scope=\"row\">records of (\w+)</th>(.*?)</tr>", text)
    found = {split: "differs" in cells for split, cells in rows}
    assert found == {"train": False, "test": True}


def test_scores_below_the_trivial_answer_are_flagged_where_they_stand(text):
    assert "Worse than the trivial baseline" in text
    row = re.search(r"<tr><th scope=\"row\">weak<small>.*?</tr>", text, re.DOTALL).group()
    assert "below trivial baseline" in row
    row = re.search(r"<tr><th scope=\"row\">strong<small>.*?</tr>", text, re.DOTALL).group()
    assert "below trivial baseline" not in row


def test_published_numbers_are_next_to_ours(text, folder):
    run = read_json(folder / "emotion" / "comparison.json")["runs"][0]
    records = [
        read_json(folder / "emotion" / "strong" / f"seed{seed}" / "metrics.json")
        for seed in RUNS["strong"]["seeds"]
    ]
    validation = [
        record["other_splits"]["validation"]["metrics"]["accuracy"]["value"] for record in records
    ]
    means = {"test": run["metrics"]["accuracy"]["mean"], "validation": np.mean(validation)}
    (section,) = re.findall(r'<section id="published">(.*?)</section>', text, re.DOTALL)
    rows = dict(
        re.findall(r'<tr><th scope="row" class="wide">(.*?)<small>(.*?)</tr>', section, re.DOTALL)
    )
    assert list(rows) == ["Another &lt;model&gt;", "A card", "Of other data"]
    for name, split in (("Another &lt;model&gt;", "test"), ("A card", "validation")):
        assert f"<b>{means[split]:.3f}</b>" in rows[name]
        # The copy of the data is not the published one.
        assert "not compared: our copy of the data differs" in rows[name]
    assert '<a href="https://example.org/paper">a paper</a>' in rows["Another &lt;model&gt;"]
    assert "n = 2,000" in rows["A card"]
    assert "measured again by others" in rows["Another &lt;model&gt;"]
    assert "stated by its authors" in rows["A card"]
    assert rows["Of other data"].count("no such run") == 2


def test_a_copy_as_the_registry_describes_it_is_compared(folder, tmp_path):
    copy_unsealed(folder, tmp_path / "results")
    path = tmp_path / "results" / "emotion" / "data" / "made" / "audit.json"
    audit = read_json(path)
    write_json(
        path, audit | {"expected": [row for row in audit["expected"] if row["status"] == "ok"]}
    )
    found = build(tmp_path / "results")
    (run, _) = read_json(folder / "emotion" / "comparison.json")["runs"]
    score = run["metrics"]["accuracy"]
    shown = [f"{one - 0.9:+.3f}".replace("-", "−") for one in (score["mean"], *score["ci"])]
    assert f"difference {shown[0]} ({shown[1]} to {shown[2]}), over items" in found
    assert "that others verified is that of Another &lt;model&gt;" in found
    with (tmp_path / "results" / "tables" / "results.csv").open(newline="") as stream:
        kinds = [row["run"] for row in csv.DictReader(stream) if row["kind"] == "published"]
    assert kinds == ["other", "card"]


def test_no_text_of_the_corpus_is_in_the_report(text, folder):
    records = data_in(folder / "emotion" / "data" / "made").records
    table = (folder / "tables" / "results.csv").read_text()
    for record in records:
        assert record.text not in text
        assert record.text not in table


def test_the_headline_names_the_best_run_by_validation_and_what_to_doubt(text, folder):
    first = re.search(r"<p class=\"finding\">(.*?)</p>", text, re.DOTALL).group(1)
    run = read_json(folder / "emotion" / "comparison.json")["runs"][0]
    assert first.startswith("strong, the run with the highest validation accuracy")
    assert f"has an accuracy of {run['metrics']['accuracy']['mean']:.3f} on 200 test texts" in first
    assert "2 seeds" in first
    baseline = run["metrics"]["accuracy"]["baseline"]
    named = f"{words.trivial(baseline['name'])}, the strongest trivial baseline."
    assert f", above the {baseline['value']:.3f} of {named}" in first
    assert "generated" not in first
    assert "differs in records of test." in text
    assert "not the same items" not in text
    assert text.index('<aside class="banner differs"') < text.index(first)
    assert "<title>affectlab: results (data differ from registry)</title>" in text
    generated = build(folder, sample_data=["made"])
    assert "The data set made is generated." in generated
    assert "<title>affectlab: results (generated data)</title>" in generated
    build(folder)


OUTSIDE = {
    "kind": "predictions",
    "trained_on": [],
    "missing": [],
    "other_truths": [],
    "swapped_names": {},
    "probabilities": True,
}


def made_elsewhere(folder, *names):
    """Change results as if somebody else had predicted for these runs."""
    for name in names:
        for seed in RUNS[name]["seeds"]:
            path = folder / "emotion" / name / f"seed{seed}" / "metrics.json"
            record = read_json(path)
            record["details"] = {**record["details"], "outside": OUTSIDE}
            write_json(path, record)


def test_a_model_from_elsewhere_is_not_the_best_run_by_validation(folder, tmp_path):
    copy_unsealed(folder, tmp_path / "results")
    made_elsewhere(tmp_path / "results", "strong")
    found = build(tmp_path / "results")
    assert '<p class="finding">weak, the run with the highest validation accuracy' in found
    assert "in the training split of these data" in found
    card = re.search(r'<article class="card">(.*?)</article>', found, re.DOTALL).group(1)
    assert "strong" not in card


def test_a_model_from_elsewhere_that_is_alone_is_called_so(folder, tmp_path):
    copy_unsealed(folder, tmp_path / "results")
    made_elsewhere(tmp_path / "results", *RUNS)
    found = build(tmp_path / "results")
    first = re.search(r"<p class=\"finding\">(.*?)</p>", found, re.DOTALL).group(1)
    assert html.unescape(first).startswith("strong, somebody else's model, has an accuracy")
    assert "unseen" not in first
    assert "validation" not in first
    assert "Whether it was trained on these test texts is not known." in found


def test_too_few_seeds_make_no_clear_difference(text, folder):
    """Two seeds against one: the models differ, and nothing is known of their recipes."""
    assert "clear difference." not in text
    (pair,) = read_json(folder / "emotion" / "comparison.json")["pairs"]
    assert pair["differences"]["accuracy"]["significant"]
    (sentence,) = re.findall(r"Against weak on the same items: .*?\.(?=</)", text)
    assert "interval over items" in sentence
    assert "These trained models differ on such items; a statement about their recipes" in sentence


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({"significant": True}, "a clear difference"),
        ({"significant": False}, "not distinguishable"),
        ({"ci": None}, "there are too few groups for an interval"),
    ],
)
def test_a_difference_between_recipes_is_clear_if_it_is_significant(changes, end):
    entry = {"value": 0.05, "ci": [0.01, 0.09], "significant": True}
    pair = {"compares": "recipes", "differences": {"accuracy": entry | changes}}
    found = words.difference(pair, "accuracy")
    assert found.startswith("+0.050")
    assert found.endswith(end)


def test_every_table_of_runs_says_what_its_intervals_cover(text, folder):
    for run in read_json(folder / "emotion" / "comparison.json")["runs"]:
        row = re.search(rf"<tr><th scope=\"row\">{run['run']}<small>.*?</tr>", text, re.DOTALL)
        assert f"intervals cover {run['interval_covers']}" in row.group()


def test_the_first_screen_shows_the_best_run_and_every_run_has_a_line(text, folder):
    (card,) = re.findall(r'<article class="card">(.*?)</article>', text, re.DOTALL)
    words_of_card = " ".join(re.sub("<[^>]+>", " ", card).split())
    runs = {run["run"]: run for run in read_json(folder / "emotion/comparison.json")["runs"]}
    assert f"{runs['strong']['metrics']['accuracy']['mean']:.3f} accuracy strong," in words_of_card
    assert "beats the baseline" in words_of_card
    lines = re.findall(r'<tbody class="run" [^>]*data-run="(\w+)"[^>]*data-verdict="(\w+)"', text)
    assert lines == [("strong", "beats"), ("weak", "below")]
    commands = re.findall(r"<code>(snakemake .*?)</code>", text)
    assert commands[1:] == [
        "snakemake --cores 2 --snakefile ../Snakefile --configfile results/config.yaml --forceall"
        f" -- results/emotion/{run}/metrics.json"
        for run in ("strong/seed1", "strong/seed2", "weak/seed0")
    ]


def test_the_table_holds_every_run(text, folder):
    with (folder / "tables" / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == results.COLUMNS
    comparison = read_json(folder / "emotion" / "comparison.json")
    ours = {(row["run"], row["metric"]): row for row in rows if row["kind"] == "ours"}
    for run in comparison["runs"]:
        for name, entry in run["metrics"].items():
            row = ours[run["run"], name]
            assert float(row["value"]) == entry["mean"]
            assert (float(row["ci_low"]), float(row["ci_high"])) == tuple(entry["ci"])
            assert row["below_baseline"] == str(entry["below_baseline"])
    assert ours["strong", "accuracy"]["seeds"] == "1 2"
    assert ours["strong", "ece"]["baseline"] == ""
    # A copy that differs from the published data is not compared with published numbers.
    assert {row["kind"] for row in rows} == {"ours"}


def test_equal_results_give_equal_pages(text, folder, tmp_path):
    copy = tmp_path / "results"
    copy_unsealed(folder, copy)
    assert build(copy) == text


def test_no_interval_is_rounded_to_one_of_everything(folder, tmp_path):
    copy = tmp_path / "results"
    copy_unsealed(folder, copy)
    comparison = read_json(copy / "emotion" / "comparison.json")
    comparison["interval"]["level"] = 0.999
    write_json(copy / "emotion" / "comparison.json", comparison)
    assert "with 99.9 % intervals" in build(copy)


def test_a_baseline_that_is_not_selected_is_shown_all_the_same(text, folder, tmp_path):
    copy = tmp_path / "results"
    copy_unsealed(folder, copy)
    config = yaml.safe_load((copy / "config.yaml").read_text())
    config["emotion"]["selected"] = ["strong"]
    # The best run by validation is looked for among the corrected ones, the baseline among them.
    for seed in RUNS["weak"]["seeds"]:
        path = copy / "emotion" / "weak" / f"seed{seed}" / "metrics.json"
        write_json(path, read_json(path) | {"protocol": "corrected"})
    comparison = read_json(copy / "emotion" / "comparison.json")
    comparison["runs"][1]["protocol"] = "corrected"
    write_json(copy / "emotion" / "comparison.json", comparison)
    write_text(copy / "config.yaml", yaml.safe_dump(config))
    found = build(copy)
    assert "strong, the run with the highest validation accuracy" in found
    assert found.count("<summary><h4>") == text.count("<summary><h4>") == 2


def test_a_single_run_without_export_noise_or_published_numbers(folder, tmp_path):
    copy = tmp_path / "results"
    copy_unsealed(folder, copy)
    config = yaml.safe_load((copy / "config.yaml").read_text())
    # What is left of another configuration is not shown.
    config["emotion"] |= {"selected": ["weak"], "export": []}
    write_text(copy / "config.yaml", yaml.safe_dump(config))
    write_json(copy / "emotion" / "weak" / "seed0" / "export" / "export.json", EXPORT)
    skipped = {"skipped": "the class love has 1 different text"}
    write_json(copy / "emotion" / "data" / "made" / "label_noise.json", skipped)
    comparison = read_json(copy / "emotion" / "comparison.json")
    comparison["runs"] = comparison["runs"][1:]
    comparison["pairs"] = []
    write_json(copy / "emotion" / "comparison.json", comparison)
    page.build(
        experiments=EXPERIMENTS,
        results=copy,
        reference_results=[],
        sample_data=[],
        place=Place("../Snakefile", "results"),
        page_path=copy / "index.html",
        table_path=copy / "results.csv",
        scores_path=copy / "scores",
        audits_path=copy / "audits",
    )
    shown = sorted(path.relative_to(copy).as_posix() for path in copy.glob("[sa]*/**/*.html"))
    assert shown == ["audits/emotion/made.html", "scores/emotion/weak/seed0.html"]
    text = (copy / "index.html").read_text()
    assert Page(text).mismatched == []
    assert "nothing to compare" in text
    assert 'id="published"' not in text
    assert "Exported models" not in text
    assert "onfident learning" not in text
    assert "Not searched: the class love has 1 different text." in text


def test_a_missing_record_is_one_clear_error(folder, tmp_path):
    copy = tmp_path / "results"
    copy_unsealed(folder, copy)
    (copy / "emotion" / "strong" / "seed2" / "metrics.json").unlink()
    (copy / "report" / "index.html").unlink()
    with pytest.raises(DataError, match=r"seed2/metrics\.json: no such file"):
        build(copy)
    assert not (copy / "report" / "index.html").exists()
    (copy / "emotion" / "strong" / "seed2" / "metrics.json").write_text(json.dumps([1]))
    with pytest.raises(DataError, match=r"metrics\.json: does not fit metrics\.schema\.json"):
        build(copy)


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "workflow" / "report").glob("*.rst")), ids=lambda path: path.stem
)
def test_captions_can_be_filled_in_and_are_valid(path):
    """As Snakemake does: Jinja2 with the job and the shipped configuration, then docutils."""
    from docutils.core import publish_string
    from jinja2 import Environment, StrictUndefined

    config = read_config(PROJECT)
    experiment = path.stem.partition("_")[0]
    experiment = experiment if experiment in config else "emotion"
    run = next(iter(config[experiment]["runs"]))
    wildcards = {"experiment": experiment, "run": run, "seed": "42", "data": "emotion"}
    job = {"wildcards": wildcards, "config": config}
    filled = Environment(undefined=StrictUndefined).from_string(path.read_text())
    text = filled.render(snakemake=job)
    assert "{{" not in text
    assert publish_string(text, writer="html", settings_overrides={"halt_level": 2})
