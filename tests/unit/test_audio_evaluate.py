import re
from dataclasses import replace

import numpy as np
import pytest
from page_words import raw_keys
from scored_runs import SCHEMAS, scored_run
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from affectlab.audio import baselines, compare, evaluate, model, score_intervals, scores
from affectlab.audio.card import card
from affectlab.audio.figures import draw
from affectlab.audio.predictions import Predicted
from affectlab.audio.report import section
from affectlab.audio.settings import AudioRun, Block, Encoder
from affectlab.config.models import Bootstrap
from affectlab.errors import UserError
from affectlab.evaluation.comparison import summarise
from affectlab.evaluation.records import read_record
from affectlab.files.io import read_json, write_json, write_jsonl
from affectlab.report.model_cards import TrainingData

BOOTSTRAP = Bootstrap(resamples=200)


DETAILS = {"halves": None, "outer_folds": 5, "permutation": None, "rarest": 10, "speaker": None}


def predicted(items=60, classes=3, repeats=2, seed=0, signal=1.0):
    generator = np.random.default_rng(seed)
    labels = np.arange(items) % classes
    scores = generator.standard_normal((repeats, items, classes))
    scores[:, np.arange(items), labels] += signal
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=2, keepdims=True)
    subjects = tuple(f"s{number // 6:02d}" for number in range(items))
    return Predicted(
        tuple(f"c{n:03d}" for n in range(items)), subjects, labels, probabilities, None
    )


def test_uar_is_the_balanced_accuracy_over_repeats():
    one = predicted()
    expected = [balanced_accuracy_score(one.labels, decisions) for decisions in one.decisions]
    score = score_intervals.decision_scores(one, 3, BOOTSTRAP)["uar"]
    assert score.value == pytest.approx(np.mean(expected))
    each = score_intervals.repeated_decisions(one, 3, lambda table: table)["uar"]
    assert each.values == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_a_class_that_is_only_predicted_does_not_lower_it():
    probabilities = np.eye(3)[[0, 0, 1, 2]][None]
    one = Predicted(tuple("abcd"), tuple("stuv"), np.array([0, 0, 1, 1]), probabilities, None)
    assert score_intervals.decision_scores(one, 3, BOOTSTRAP)["uar"].value == 0.75
    assert balanced_accuracy_score([0, 0, 1, 1], [0, 0, 1, 2]) == 0.75


def test_an_area_that_most_resamples_lack_has_no_interval():
    """Of four classes two are spoken by one subject each, and seldom are both drawn."""
    subjects = [*"aabbccddeeffgghh", *"iijj"]
    labels = np.array([0, 1] * 8 + [2] * 2 + [3] * 2)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), (1, 20))
    ids = tuple(f"c{n:02d}" for n in range(20))
    one = Predicted(ids, tuple(subjects), labels, probabilities, None)
    score = score_intervals.ranking_scores(one, BOOTSTRAP)["auc"]
    found = score_intervals.with_baselines({"auc": score}, [], 0.95)["auc"]
    assert found["ci"] is None
    expected = roc_auc_score(labels, probabilities[0], multi_class="ovr", average="macro")
    assert found["value"] == pytest.approx(expected)
    assert evaluate._line("auc", found).split()[:3] == ["auc", f"{expected:.4f}", "-"]


def test_the_interval_resamples_subjects():
    """Copying every clip of a subject adds no information, so the interval stays."""
    one = predicted()
    doubled = Predicted(
        (*one.ids, *(f"{name}+" for name in one.ids)),
        one.subjects * 2,
        np.tile(one.labels, 2),
        np.concatenate([one.probabilities] * 2, axis=1),
        None,
    )
    first, second = (
        score_intervals.score_scheme(given, ["a", "b", "c"], BOOTSTRAP)["metrics"]["uar"]["ci"]
        for given in (one, doubled)
    )
    assert first == pytest.approx(second)


@pytest.mark.parametrize("classes", [2, 3])
def test_areas_are_those_of_scikit_learn(classes):
    one = predicted(classes=classes)
    found = score_intervals.ranking_scores(one, BOOTSTRAP)
    if classes == 2:
        areas = [roc_auc_score(one.labels, p[:, 1]) for p in one.probabilities]
        precision = [average_precision_score(one.labels, p[:, 1]) for p in one.probabilities]
        assert found["pr_auc"].value == pytest.approx(np.mean(precision))
        assert baselines.trivial_scores(one.labels, 2)["pr_auc"] == ("positive_share", 0.5)
    else:
        areas = [
            roc_auc_score(one.labels, p, multi_class="ovr", average="macro")
            for p in one.probabilities
        ]
    assert found["auc"].value == pytest.approx(np.mean(areas))


def gap(probabilities, labels, bins=10):
    """The expected calibration error, bin by bin."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    places = np.digitize(confidence, np.arange(1, bins) / bins, right=True)
    members = [places == place for place in np.unique(places)]
    gaps = [abs(right[m].mean() - confidence[m].mean()) * m.mean() for m in members]
    return sum(gaps)


def test_calibration_errors_are_of_all_repeats_together():
    plain = predicted(repeats=3)
    assert set(score_intervals.calibration_scores(plain, BOOTSTRAP)) == {"ece"}
    scaled = plain.probabilities**3
    one = replace(plain, calibrated=scaled / scaled.sum(axis=2, keepdims=True))
    found = score_intervals.calibration_scores(one, BOOTSTRAP)
    for name, values in (("ece", one.probabilities), ("ece_calibrated", one.calibrated)):
        expected = gap(np.vstack(values), np.tile(one.labels, 3))
        assert found[name]["plug_in"] == pytest.approx(expected)
        assert found[name]["value"] <= expected
        assert found[name]["direction"] == "lower"
        low, high = found[name]["ci"]
        assert 0 <= low <= found[name]["value"] < high < 1
    assert found["ece"]["value"] != pytest.approx(found["ece_calibrated"]["value"], abs=0.01)


def test_ties_count_half():
    positive, values = np.array([True, False, True]), np.array([1.0, 1.0, 2.0])
    assert scores.roc_area(positive, values, np.ones((1, 3))) == [0.75]
    assert np.isnan(scores.roc_area(positive, values, np.array([[1.0, 0.0, 1.0]]))).all()


def test_a_weight_of_two_is_an_item_that_occurs_twice():
    one = predicted(classes=2, repeats=1)
    weights = np.random.default_rng(0).integers(0, 3, (4, 60))
    found = scores.weighted_scores(one.labels, one.probabilities[0], weights * 1.0, 2)
    for row, counts in enumerate(weights):
        items = np.repeat(np.arange(60), counts)
        labels, values = one.labels[items], one.probabilities[0][items]
        expected = {
            "uar": balanced_accuracy_score(labels, values.argmax(axis=1)),
            "auc": roc_auc_score(labels, values[:, 1]),
            "pr_auc": average_precision_score(labels, values[:, 1]),
        }
        assert {name: found[name][row] for name in expected} == pytest.approx(expected)


def test_the_published_score_and_its_trivial_answers():
    one = predicted()
    found = score_intervals.one_vs_rest_scores(one, ["a", "b", "c"], BOOTSTRAP)
    right = np.mean([(d == 0) == (one.labels == 0) for d in one.decisions])
    assert found["ovr_accuracy_a"]["value"] == pytest.approx(right)
    baseline = found["ovr_accuracy_a"]["baseline"]
    assert baseline == {"name": "never", "value": pytest.approx(2 / 3)}


def test_the_majority_is_the_baseline():
    labels = np.array([0, 0, 0, 1])
    found = baselines.trivial_scores(labels, 2)
    assert found["accuracy"] == ("majority", 0.75)
    assert found["uar"] == ("majority", 0.5)


def test_every_constant_answer_has_its_scores():
    found = baselines.constant_answers(np.array([0, 0, 0, 1]), ["no", "Yes!"])
    assert found["no"] == {
        "uar": 0.5,
        "accuracy": 0.75,
        "macro_f1": pytest.approx(3 / 7),
        "ovr_accuracy_no": 0.75,
        "ovr_accuracy_yes": 0.75,
    }
    assert found["Yes!"]["accuracy"] == found["Yes!"]["ovr_accuracy_yes"] == 0.25
    # Never saying it is right about two of three.
    thirds = baselines.constant_answers(np.array([0, 1, 2]), ["a", "b", "c"])
    assert thirds["a"]["ovr_accuracy_b"] == pytest.approx(2 / 3)
    assert thirds["b"]["ovr_accuracy_b"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (["not_depressed", "Very sad"], ["not_depressed", "very_sad"]),
        (["悲", "喜"], ["class0", "class1"]),
        (["a b", "a-b"], ["class0", "class1"]),
    ],
)
def test_names_of_scores_are_plain(classes, names):
    assert baselines.one_vs_rest_names(classes) == [f"ovr_accuracy_{name}" for name in names]


def test_a_class_that_does_not_occur_is_no_part_of_the_area():
    one = predicted(classes=3)
    kept = one.labels < 2
    some = Predicted(
        tuple(np.array(one.ids)[kept]),
        tuple(np.array(one.subjects)[kept]),
        one.labels[kept],
        one.probabilities[:, kept],
        None,
    )
    areas = [
        roc_auc_score(some.labels == place, values[:, place])
        for values in some.probabilities
        for place in (0, 1)
    ]
    found = score_intervals.ranking_scores(some, BOOTSTRAP)["auc"].value
    assert found == pytest.approx(np.mean(areas))


def test_items_of_one_class_cannot_be_scored():
    one = predicted(classes=2)
    single = Predicted(one.ids, one.subjects, np.zeros_like(one.labels), one.probabilities, None)
    with pytest.raises(UserError, match="all 60 items that were predicted are of one class"):
        score_intervals.ranking_scores(single, BOOTSTRAP)


# --- comparison over runs ------------------------------------------------------------------------

CLASSES = ["a", "b", "c"]
# Run -> how much its embedding knows of the class, and the task; two seeds each.
RUNS = {"good": (3.0, "3emo"), "weak": (0.0, "3emo"), "other": (1.0, "3valence")}
SEEDS = (1, 2)
# Of this run an item is a subject, all clips together.
POOLED = "other"


def said(name, seed):
    """What a run says with subjects kept apart, and with clips split at random."""
    signal, _ = RUNS[name]
    # Not as many of each class, so that the UAR is not the accuracy.
    of_clips = predicted(items=58, seed=10 * seed + len(name) + 6, signal=signal)
    if name != POOLED:
        return {"grouped": of_clips, "clip_random": predicted(items=58, seed=seed, signal=2.0)}
    grouped = predicted(items=10, seed=10 * seed + len(name) + 6, signal=signal)
    names = tuple(f"s{number:02d}" for number in range(10))
    by_subject = np.array([int(one.removeprefix("s")) % 3 for one in of_clips.subjects])
    return {
        "grouped": replace(grouped, ids=names, subjects=names),
        "clip_random": replace(of_clips, labels=by_subject),
    }


def write_corpus(folder):
    """The records and measures that all runs are scored on."""
    one = predicted(items=58)
    write_jsonl(
        folder / "records.jsonl",
        [
            {
                "id": name,
                "path": f"{name}.wav",
                "subject": subject,
                "labels": {
                    "3emo": CLASSES[label],
                    "3valence": CLASSES[int(subject.removeprefix("s")) % 3],
                },
                "split": None,
                "seconds": None,
            }
            for name, subject, label in zip(one.ids, one.subjects, one.labels, strict=True)
        ],
    )
    write_jsonl(folder / "measures.jsonl", [{"id": name} for name in one.ids])


def recipe(name):
    unit = "subject" if name == POOLED else "clip"
    return AudioRun(task=RUNS[name][1], unit=unit, data="made", encoder="logmel", seeds=list(SEEDS))


def score(folder, name, seed):
    out = folder / name / f"seed{seed}"
    write_jsonl(
        out / "predictions.jsonl",
        [
            {
                "id": one.ids[item],
                "subject": one.subjects[item],
                "label": CLASSES[one.labels[item]],
                "scheme": scheme,
                "repeat": repeat,
                "probabilities": probabilities[item].tolist(),
            }
            for scheme, one in said(name, seed).items()
            for repeat, probabilities in enumerate(one.probabilities)
            for item in range(len(one.ids))
        ],
    )
    evaluate.evaluate(
        scored_run(out, recipe(name), name=name, seed=seed),
        predictions_path=out / "predictions.jsonl",
        details_path=folder / "details.json",
        records_path=folder / "records.jsonl",
        measures_path=folder / "measures.jsonl",
        model_directory=folder / "model",
        text_path=out / "evaluation_results.txt",
        figures=out / "figures",
    )


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    write_json(folder / "details.json", DETAILS)
    write_corpus(folder)
    facts = dict.fromkeys(model.FIELDS, "any") | {
        "classes": CLASSES,
        "statistics": ["mean"],
        "temperature": 1.0,
    }
    ones = np.ones(len(CLASSES), dtype=np.float32)
    model.save(model.ProbeModel(ones, ones, [], facts), folder / "model")
    runs = [(name, seed) for name in RUNS for seed in SEEDS]
    for name, seed in runs:
        score(folder, name, seed)
    outs = [folder / name / f"seed{seed}" for name, seed in runs]
    compare.compare(
        metrics_paths=[out / "metrics.json" for out in outs],
        predictions_paths=[out / "predictions.jsonl" for out in outs],
        data_paths={"made": (folder / "records.jsonl", folder / "measures.jsonl")},
        baseline=None,
        bootstrap=BOOTSTRAP,
        schema=SCHEMAS / "comparison.schema.json",
        output_path=folder / "comparison.json",
        forest_path=folder / "figures" / "forest",
    )
    return folder


def recalls(name, seed, scheme="grouped"):
    """The mean UAR over repeats, by scikit-learn."""
    one = said(name, seed)[scheme]
    return np.mean([balanced_accuracy_score(one.labels, each) for each in one.decisions])


@pytest.mark.parametrize("name", RUNS)
def test_seeds_are_summarised(compared, name):
    record = read_record(compared / "comparison.json", SCHEMAS / "comparison.schema.json")
    found = dict(zip(RUNS, record["runs"], strict=True))[name]
    assert (found["run"], found["method"], found["seeds"]) == (name, RUNS[name][1], list(SEEDS))
    assert found["interval_covers"] == "items"
    values = [recalls(name, seed) for seed in SEEDS]
    uar = found["metrics"]["uar"]
    assert uar["mean"] == pytest.approx(np.mean(values))
    assert uar["sd"] == pytest.approx(np.std(values, ddof=1))
    assert uar["baseline"] == {"name": "majority", "value": pytest.approx(1 / 3)}
    assert uar["below_baseline"] == (np.mean(values) < 1 / 3)
    # Means of the seeds' own limits, narrower where resamples are common to the seeds.
    seeds = [read_json(compared / name / f"seed{n}" / "metrics.json")["metrics"] for n in SEEDS]
    limits = np.mean([seed["uar"]["ci"] for seed in seeds], axis=0)
    assert limits[0] <= uar["ci"][0] + 1e-7
    assert uar["ci"][0] < uar["mean"] < uar["ci"][1] <= limits[1] + 1e-7
    for score_name in ("auc", "ece"):
        entry = found["metrics"][score_name]
        limits = np.mean([seed[score_name]["ci"] for seed in seeds], axis=0)
        assert entry["ci"] == pytest.approx(limits)
        assert entry["mean"] == pytest.approx(np.mean([s[score_name]["value"] for s in seeds]))


def test_seeds_with_other_items_have_the_mean_of_their_limits(compared):
    """As where each seed holds out clips of its own."""
    records = [read_json(compared / "good" / f"seed{n}" / "metrics.json") for n in SEEDS]
    grouped = [said("good", seed)["grouped"] for seed in SEEDS]
    grouped[1] = replace(grouped[1], ids=tuple(f"other {name}" for name in grouped[1].ids))
    bounds = dict.fromkeys(records[0]["metrics"], (0.0, 1.0))
    # No resample is common to the seeds, so none is scored.
    run = compare._run(records, grouped, None, bounds, BOOTSTRAP)
    assert run.trials == {}
    found = summarise(run, BOOTSTRAP.level)["metrics"]["uar"]
    limits = np.mean([record["metrics"]["uar"]["ci"] for record in records], axis=0)
    assert found["ci"] == pytest.approx(limits)


def test_runs_that_answer_the_same_question_are_paired(compared):
    (pair,) = read_json(compared / "comparison.json")["pairs"]
    assert (pair["first"], pair["second"]) == (
        {"run": "good", "seeds": [1, 2]},
        {"run": "weak", "seeds": [1, 2]},
    )
    # Two seeds of two repeats: four draws of the folds.
    assert pair["compares"] == "recipes"
    found = pair["differences"]["uar"]
    values = [[recalls(name, seed) for seed in SEEDS] for name in ("good", "weak")]
    assert found["value"] == pytest.approx(np.mean(values[0]) - np.mean(values[1]))
    assert found["ci"][0] > 0
    assert found["significant"]
    # Resampled subjects, by hand, and Nadeau and Bengio's correction on top.
    each = {name: [said(name, seed)["grouped"] for seed in SEEDS] for name in ("good", "weak")}
    classes = np.eye(3)[each["good"][0].labels]
    subjects = np.eye(10)[np.arange(58) // 6].T
    generator = np.random.default_rng(1)
    drawn = generator.integers(10, size=(4_000, 10))
    counts = (subjects @ classes)[drawn].sum(axis=1)
    drawn_recalls = {
        name: np.array(
            [
                (
                    (subjects @ ((said_ == one.labels)[:, None] * classes))[drawn].sum(axis=1)
                    / counts
                ).mean(axis=1)
                for one in seeds
                for said_ in one.decisions
            ]
        )
        for name, seeds in each.items()
    }
    shared = np.mean(drawn_recalls["good"], axis=0) - np.mean(drawn_recalls["weak"], axis=0)
    variance = shared.var()
    between = 0.0
    for name, replicates in drawn_recalls.items():
        centred = replicates - replicates.mean(axis=1, keepdims=True)
        variance -= centred.var(axis=0, ddof=1).mean() / 4
        repeats = [
            balanced_accuracy_score(one.labels, decisions)
            for one in each[name]
            for decisions in one.decisions
        ]
        between += np.var(repeats, ddof=1) / 4
    error = np.sqrt(2.25 * max(variance, 0) * 10 / 9 + between)
    reach = (found["ci"][1] - found["ci"][0]) / 2
    # Student's t of 3 to 9 degrees of freedom, or a few more.
    assert 2.0 < reach / error < 3.3


def test_the_section_says_what_was_found(compared):
    seconds = {"0": 1.0, "0.5": 2.0, "1": 3.0}
    audio = {"hours": 0.1, "seconds": seconds, "silent_share": {"0.5": 0.2}}
    audio |= {"clipped_clips": 0, "silent_clips": 0, "cancelling_clips": 0}
    audit = {"counts": {}, "audio": audio, "identical": [], "quarantine": {"records": 0}}
    audit |= {"expected": [], "unused_recordings": {"count": 0, "first": []}}
    conditions = {"clear": ["rate"], "chance": 0.5, "balanced_accuracy": {"rate": 1.0}}
    audit["conditions"] = {"3emo": conditions, "3valence": conditions | {"clear": []}}
    write_json(compared / "data" / "made" / "audit.json", audit)
    block = Block(
        selected=list(RUNS),
        encoders={"logmel": Encoder()},
        runs={name: recipe(name) for name in RUNS},
    )
    found = section(compared, block, [], [])
    entries = {run["run"]: run for run in read_json(compared / "comparison.json")["runs"]}
    expected = []
    for name, entry in entries.items():
        uar = entry["metrics"]["uar"]
        low, high = (f"{limit:.3f}" for limit in uar["ci"])
        split = np.mean([recalls(name, seed, "clip_random") for seed in SEEDS])
        gain = f"{split - uar['mean']:+.3f}".replace("-", "−")
        expected.append(
            f"{name} (logmel) tells the classes of task {RUNS[name][1]} with an unweighted average"
            f" recall of {uar['mean']:.3f} (95 % interval over items {low}–{high}; 10 subjects),"
            f" {'not distinguishable from' if name == 'weak' else 'above'} the 0.333 of"
            " always guessing the commonest class, the strongest trivial baseline."
        )
        if name != POOLED:
            expected.append(
                "With its clips split at random, so that voices are on both sides, the same score"
                f" is {split:.3f} ({gain}, without an interval)."
            )
    small = [one for one in found.sentences if re.match(r"With \d", one)]
    others = [sentence for sentence in found.sentences if sentence not in small]
    assert others == [*expected, "None of this is a diagnostic instrument."]
    # Once for each number of items, however many runs have it.
    assert [sentence.split(" items")[0] for sentence in small] == ["With 58", "With 10"]
    page = "".join(found.parts.values())
    assert page.count("rate alone predicts the class with a balanced accuracy of 1.0") == 1
    seen = [html for key, html in found.parts.items() if key != "errors"]
    assert raw_keys(" ".join([*seen, *found.sentences]), RUNS) == set()
    captions = re.findall("<figcaption>(.*?)</figcaption>", page)
    captions += [one.caption for one in found.figures]
    assert sum("with clips split at random" in caption for caption in captions) == len(RUNS) - 1
    assert sum("of the probe beside duration" in caption for caption in captions) == 1
    for name, entry in entries.items():
        row = page.split(f'<tr><th scope="row">{name}<small>')[1].split("</tr>")[0]
        shown = [entry["metrics"][score_name] for score_name in ("uar", "accuracy", "auc")]
        assert re.findall(r"<b>(.*?)</b>", row) == [f"{one['mean']:.3f}" for one in shown]
        assert re.findall(r"<small>sd (.*?)</small>", row) == [f"{one['sd']:.3f}" for one in shown]
        assert f"{entry['metrics']['ece']['mean']:.3f}</td>" in row
    assert [(row["run"], row["value"]) for row in found.rows if row["metric"] == "uar"] == [
        (name, entry["metrics"]["uar"]["mean"]) for name, entry in entries.items()
    ]


@pytest.mark.parametrize("name", RUNS)
def test_clips_are_not_held_against_pooled_subjects(compared, name):
    out = compared / name / "seed1"
    record = read_json(out / "metrics.json")
    # For the card; the comparison needs none.
    record["other_splits"] |= dict.fromkeys(
        ("duration", "loudness"), record["other_splits"]["clip_random"]
    )
    entry = {"title": "T", "licence": "L", "terms": "X", "citation": "C", "sources": []}
    text = card(record, TrainingData(entry), recipe(name), Encoder(kind="logmel"), None, [], "")
    drawing = (out / "figures" / "schemes.svg").read_text()
    assert "speakers kept apart" in drawing
    for shown in (text, drawing):
        assert ("clips split at random" in shown) == (name != POOLED)
    assert "the duration" in text


def test_a_curve_of_layers_goes_when_there_is_one_view(compared, tmp_path):
    record = read_json(compared / "good" / "seed1" / "metrics.json")
    split = record["other_splits"]["clip_random"]
    drawings = [tmp_path / "layers.svg", tmp_path / "layers.png"]
    draw(tmp_path, record | {"other_splits": {"view_a": split, "view_mix": split}}, {})
    assert all(path.stat().st_size > 0 for path in drawings)
    draw(tmp_path, record | {"other_splits": {"view_a": split}}, {})
    assert not any(path.exists() for path in drawings)
    assert (tmp_path / "schemes.svg").exists()
