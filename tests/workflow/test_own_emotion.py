"""Texts of a user's own, from the raw file to report, card and prediction."""

import io
import json
import re

import pyarrow
import pytest
from hub_mirror import mirror
from own_texts import CLASSES, CUES, rows_of, write_csv
from pyarrow import parquet

from affectlab import cli

TINY = {
    "kind": "text-encoder",
    "title": "A tiny BERT with random weights",
    "licence": "MIT",
    "languages": ["en"],
    "parameters": 120_000,
    "size_mb": 1,
    "sources": [{"kind": "sample", "generator": "bert"}],
}
TRAINING = {"epochs": 1, "batch_size": 32, "learning_rate": 0.001}


def overlay_of(entry, **runs):
    """An overlay with the data set `mine` and *runs* on it."""
    return {
        "experiments": ["emotion"],
        "datasets": {"mine": {"layout": "table", "language": "de", **entry}},
        "models": {"bert-tiny": TINY},
        "emotion": {
            "selected": list(runs),
            "bootstrap": {"resamples": 100},
            "label_noise": {"folds": 2},
            "runs": {name: {"data": "mine", **run} for name, run in runs.items()},
        },
    }


WORDS = {"method": "tfidf", "seeds": [0]}
NETWORK = {"model": "bert-tiny", "seeds": [1], "max_length": 128, "training": TRAINING}


class Finished:
    """What a run left."""

    def __init__(self, folder):
        self.folder = folder / "results" / "emotion"
        self.report = (folder / "results" / "report" / "index.html").read_text()
        self.comparison = self.json("comparison.json")
        self.audit = self.json("data/mine/audit.json")
        self.description = self.json("data/mine/description.json")

    def json(self, name):
        return json.loads((self.folder / name).read_text())

    def card(self, run, seed):
        return (self.folder / run / f"seed{seed}" / "model_card.md").read_text()

    def traps(self):
        return {trap["name"]: trap["sentence"] for trap in self.audit["traps"]}

    def predicted(self, run, seed, text, capsys):
        model = self.folder / run / f"seed{seed}" / "model"
        assert cli.main(["predict", "emotion", "--model", str(model), "--top-k", "9", text]) == 0
        return json.loads(capsys.readouterr().out)


def run_it(project, name, overlay, rows=None, env=None):
    directory = project.directory(name)
    if rows is not None:
        write_csv(directory, rows)
    result = project.snakemake(
        directory=directory, overlays=[project.write_overlay(name, overlay)], env=env
    )
    assert result.status == 0, result.output
    return Finished(directory), result


def words_of(html):
    """The text of a page, as a reader sees it."""
    plain = re.sub(r"<style.*?</style>|<svg.*?</svg>|<[^>]+>", " ", html, flags=re.DOTALL)
    return " ".join(plain.split())


def check_scores(found, runs, n, classes=CLASSES):
    """Every run has a score with baseline and interval, on the user's own classes."""
    assert tuple(found.description["classes"]) == classes
    assert [run["run"] for run in found.comparison["runs"]] == list(runs)
    for run in found.comparison["runs"]:
        accuracy = run["metrics"]["accuracy"]
        assert run["n"] == n
        assert accuracy["baseline"]["value"] < 1
        low, high = accuracy["ci"]
        assert 0 <= low < high <= 1
        assert low <= accuracy["mean"] <= high
    shown = words_of(found.report)
    [plan] = found.audit["plan"]
    assert plan["n"] == n
    for page in (shown, *(found.card(name, seed) for name, seed in runs.items())):
        assert plan["sentence"] in page
        for claim in ("dair-ai", "hashtag", "sadness", "six"):
            assert claim not in page, claim
    assert "not stated" in found.card(*next(iter(runs.items())))


def check_traps(found, run, seed, names):
    """The named traps are in audit, report and card."""
    traps = found.traps()
    assert set(names) <= set(traps)
    shown, card = words_of(found.report), found.card(run, seed)
    for name in names:
        sentence = traps[name]
        escaped = sentence.replace("'", "&#39;").replace("&", "&amp;").replace("&amp;#39;", "&#39;")
        assert sentence in shown or escaped in shown, sentence
        assert f"- {sentence}" in card


def check_predictions(found, capsys, **runs):
    for run, seed in runs.items():
        answer = found.predicted(run, seed, f"{CUES['Wut']} wieder", capsys)
        assert set(answer["probabilities"]) == set(found.description["classes"])
        assert answer["label"] in found.description["classes"]


def test_a_table_without_splits(project, capsys):
    """306 German texts, CSV, four classes."""
    entry = {"path": "mine.csv", "columns": {"text": "tweet", "label": "emo"}}
    rows = [{"tweet": row["tweet"], "emo": row["emo"]} for row in rows_of(306)]
    overlay = overlay_of(entry, mine_words=WORDS, mine_tiny=NETWORK)
    found, _ = run_it(project, "own_csv", overlay, rows)
    sizes = {split: part["records"] for split, part in found.audit["counts"].items()}
    assert sum(sizes.values()) == 306
    assert sizes["test"] == pytest.approx(0.2 * 306, abs=10)
    check_scores(found, {"mine_words": 0, "mine_tiny": 1}, sizes["test"])
    assert found.traps() == {}
    words = found.comparison["runs"][0]
    assert words["metrics"]["accuracy"]["mean"] > 0.9
    assert found.comparison["baseline"] == "mine_words"
    shown = words_of(found.report)
    assert "mine_words, the run with the highest validation accuracy, has an accuracy of" in shown
    assert f"With {sizes['test']} items the interval of this score is" in found.card("mine_tiny", 1)
    # The network was made for another language; word counts were made for none.
    foreign = "The pretrained model was made for ‘en’, and these data are in ‘de’."
    assert foreign in found.card("mine_tiny", 1)
    assert foreign not in found.card("mine_words", 0)
    check_predictions(found, capsys, mine_words=0, mine_tiny=1)
    answer = found.predicted("mine_words", 0, f"{CUES['Ruhe']} wieder", capsys)
    assert answer["label"] == "Ruhe"


def trapped_rows():
    """Texts with a split and an author each, and every trap."""
    parts = {0: "dev", 1: "heldout", 2: "heldout"}
    rows = [row | {"part": parts.get(n // 4 % 6, "train")} for n, row in enumerate(rows_of(306))]
    by_part = {part: [row for row in rows if row["part"] == part] for part in ("train", "heldout")}
    train, test = by_part["train"], by_part["heldout"]
    # An item in two splits, and a near duplicate.
    test[0]["tweet"], test[0]["emo"] = train[0]["tweet"].upper(), train[0]["emo"]
    train[5]["tweet"] = "wir haben 5 Stunden lang auf den Bus gewartet"
    test[5]["tweet"] = "Wir haben 12 Stunden lang auf den Bus gewartet!"
    # An author in two spellings, a class of one text, a class of long texts.
    train[8]["who"] = train[8]["who"].upper() + " "
    train[9]["emo"] = "Ekel"
    for row in rows:
        if row["emo"] == "Wut":
            row["tweet"] += " wirklich immer wieder genau so"
    return rows


def test_a_parquet_table_with_traps(project, capsys):
    directory = project.folder / "trapped"
    directory.mkdir()
    parquet.write_table(pyarrow.Table.from_pylist(trapped_rows()), directory / "mine.parquet")
    entry = {
        "path": str(directory / "mine.parquet"),
        "columns": {"text": "tweet", "label": "emo", "group": "who"},
        "split": {"column": "part", "names": {"test": "heldout"}},
    }
    found, _ = run_it(project, "own_parquet", overlay_of(entry, mine_words=WORDS))
    sizes = {split: part["records"] for split, part in found.audit["counts"].items()}
    classes = ("Angst", "Ekel", "Freude", "Ruhe", "Wut")
    check_scores(found, {"mine_words": 0}, sizes["test"], classes)
    names = (
        "item_in_two_splits",
        "near_duplicates",
        "class_smaller_than_folds",
        "name_in_two_spellings",
        "condition_predicts_class",
    )
    check_traps(found, "mine_words", 0, names)
    record = found.json("mine_words/seed0/metrics.json")
    assert record["other_splits"]["test_without_overlap"]["n"] == sizes["test"] - 2
    assert "2 scored items are, or nearly so, in the training data. Without them" in words_of(
        found.report
    )
    # A class of one text cannot be searched for wrong labels.
    assert "the class Ekel has 1 different text" in words_of(found.report)
    # What length alone predicts is a baseline of the score.
    assert record["metrics"]["macro_f1"]["baseline"]["name"].startswith("conditions")
    check_predictions(found, capsys, mine_words=0)


@pytest.mark.nightly
@pytest.mark.parametrize("folds", [3, 5])
def test_few_texts_are_cross_validated(project, misfits, capsys, folds):
    """A network is trained to score each fold, and one more to keep."""
    entry = {
        "path": "mine.csv",
        "columns": {"text": "tweet", "label": "emo", "group": "who"},
        "split": {"folds": folds},
    }
    overlay = overlay_of(entry, mine_words=WORDS, mine_tiny=NETWORK)
    rows = rows_of(80)
    found, result = run_it(project, f"own_folds{folds}", overlay, rows)
    assert result.jobs["emotion_train_fold"] == result.jobs["emotion_predict_fold"] == folds
    assert result.jobs["emotion_train"] == result.jobs["emotion_pool"] == 1
    check_scores(found, {"mine_words": 0, "mine_tiny": 1}, 80)
    assert {run["split"] for run in found.comparison["runs"]} == {"cross-validation"}
    shown = words_of(found.report)
    assert "Results on all texts, cross-validated" in shown
    assert "on 80 unseen texts, each text by a model" in shown
    assert "test split" not in shown
    assert "test texts" not in shown
    card = found.card("mine_tiny", 1)
    assert f"cross-validated in {folds} folds" in card
    assert "With 80 items in 12 groups the interval of this score is" in card
    predictions = found.folder / "mine_tiny" / "seed1" / "predictions.jsonl"
    assert misfits(predictions, "emotion") == []
    tested = [json.loads(line) for line in predictions.read_text().splitlines()]
    tested = [row["id"] for row in tested if row["split"] == "test"]
    assert sorted(tested) == [f"{n:05d}" for n in range(1, 81)]
    check_predictions(found, capsys, mine_words=0, mine_tiny=1)


REPO, REVISION = "somebody/moods", "0123456789abcdef" * 2 + "01234567"


def stored(rows):
    """Rows as a Parquet file."""
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def test_a_data_set_of_the_hub(project, capsys, tmp_path):
    """From a local mirror; its splits are kept."""
    rows = rows_of(200)
    files = {
        "README.md": b"---\nlicense: mit\n---\n# Moods\n",
        "data/train-00000-of-00001.parquet": stored(rows[:120]),
        "data/validation-00000-of-00001.parquet": stored(rows[120:160]),
        "data/test-00000-of-00001.parquet": stored(rows[160:]),
    }
    entry = {
        "hub": {"repo": REPO, "revision": REVISION},
        "columns": {"text": "tweet", "label": "emo"},
    }
    with mirror(REPO, REVISION, files) as server:
        env = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": None}
        overlay = overlay_of(entry, mine_words=WORDS)
        found, _ = run_it(project, "own_hub", overlay, env=env)
        assert any("/resolve/" in path for _, path, _ in server.requests)
    # What the hub sends stays inside the run directory.
    assert [path for path in (tmp_path / "home").rglob("*") if "moods" in path.name] == []
    sizes = {split: part["records"] for split, part in found.audit["counts"].items()}
    assert sizes == {"train": 120, "validation": 40, "test": 40}
    check_scores(found, {"mine_words": 0}, 40)
    assert found.description["seed"] is None
    assert REPO in found.card("mine_words", 0)
    check_predictions(found, capsys, mine_words=0)
