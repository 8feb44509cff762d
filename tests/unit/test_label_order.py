"""Label ids whose counts contradict the order of the classes that they are read by."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import yaml
from emotion_tables import ENTRY, converted, data_in

from affectlab.audio import convert as audio
from affectlab.audio.tasks import TASKS
from affectlab.datasets.label_order import better_order, check_label_order, published_shares
from affectlab.emotion import data as emotion
from affectlab.entity import convert as entity
from affectlab.entity.labels import CLASSES as SPAN_ORDER
from affectlab.entity.labels import GOEMOTIONS_CLASSES
from affectlab.entity.settings import Split
from affectlab.errors import DataError
from affectlab.face import data as face
from affectlab.face.agreement import agreement_counts, other_meaning
from affectlab.face.convert import convert
from affectlab.face.faces import CLASSES as FACE_CLASSES
from affectlab.face.faces import CSV_CLASSES
from affectlab.face.votes import TAG_OF_CLASS, TAGS
from affectlab.samples import emotion as emotion_sample
from affectlab.samples import face as face_sample

REGISTRY = yaml.safe_load((Path(__file__).parents[2] / "config" / "datasets.yaml").read_text())
SHARES = {
    "emotion": (emotion.CLASSES, REGISTRY["emotion"]["expected"]),
    "fer2013": (CSV_CLASSES, REGISTRY["fer2013"]["expected"]),
    "goemotions": (GOEMOTIONS_CLASSES, REGISTRY["goemotions"]["expected"]),
}


def counts_of(shares, order, items):
    """What ids in *order* come to, to whole labels."""
    return [round(items * shares[name]) for name in order]


def emotion_csv(folder, number_of):
    """A corpus of 10,000 labels in the published shares; *number_of* writes a class."""
    shares = published_shares(REGISTRY["emotion"]["expected"], emotion.CLASSES)
    folder.mkdir(parents=True)
    for split, items in (("train", 8000), ("validation", 1000), ("test", 1000)):
        rows = [
            f"text {place} of {name},{number_of(name)}"
            for name in emotion.CLASSES
            for place in range(round(items * shares[name]))
        ]
        (folder / f"{split}.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    return folder


def convert_emotion(tmp_path, folder, expected=REGISTRY["emotion"]["expected"]):
    converted(folder, tmp_path, ENTRY | {"expected": expected})
    return data_in(tmp_path).records


def test_alphabetical_ids_stop_with_both_orders(tmp_path):
    """Saved again by a library that sorts class names: every id is valid, every class is wrong."""
    folder = emotion_csv(tmp_path / "raw", sorted(emotion.CLASSES).index)
    with pytest.raises(DataError) as caught:
        convert_emotion(tmp_path, folder)
    message = str(caught.value)
    assert "read as 0 sadness, 1 joy, 2 love, 3 anger, 4 fear, 5 surprise" in message
    assert "fit the order 0 anger, 1 fear, 2 joy, 3 love, 4 sadness, 5 surprise" in message
    assert not (tmp_path / "records.jsonl").exists()


def test_right_ids_and_names_pass(tmp_path):
    for name, write in (("ids", emotion.CLASSES.index), ("names", str)):
        records = convert_emotion(tmp_path, emotion_csv(tmp_path / name, write))
        assert sum(record.label == "joy" for record in records) == round(0.33805 * 8000) + 2 * 338


def test_names_may_have_any_shares(tmp_path):
    """A user's own data under the name of a registry entry: names are no claim."""
    other = dict(zip(emotion.CLASSES, sorted(emotion.CLASSES), strict=True))
    records = convert_emotion(tmp_path, emotion_csv(tmp_path / "raw", other.get))
    assert sum(record.label == "fear" for record in records) > 3000


def test_one_split_in_another_order_stops(tmp_path):
    folder = emotion_csv(tmp_path / "raw", emotion.CLASSES.index)
    wrong = emotion_csv(tmp_path / "wrong", sorted(emotion.CLASSES).index)
    (wrong / "test.csv").rename(folder / "test.csv")
    with pytest.raises(DataError, match="split test: the label ids"):
        convert_emotion(tmp_path, folder)


def test_an_entry_without_counts_says_that_ids_are_not_checked(tmp_path, caplog):
    folder = emotion_csv(tmp_path / "raw", emotion.CLASSES.index)
    with caplog.at_level(logging.WARNING):
        convert_emotion(tmp_path, folder, {})
    assert "this order is not checked" in caplog.text
    assert "no expected.classes" in caplog.text
    caplog.clear()
    convert_emotion(tmp_path, folder, {"no_classes": "generated"})
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_second_column_with_names_is_compared_with_the_ids(tmp_path):
    rows = ({"text": "a", "label": 0, "label_text": name} for name in ("sadness", "anger"))
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "raw").mkdir()
    for split in ("train", "validation", "test"):
        (tmp_path / "raw" / f"{split}.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"line 2: .* read as sadness, but label_text is 'anger'"):
        convert_emotion(tmp_path, tmp_path / "raw")


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("items", [100, 300, 1000, 10_000])
def test_samples_of_the_corpus_pass_and_are_not_warned_of(name, items):
    classes, expected = SHARES[name]
    shares = published_shares(expected, classes)
    generator = np.random.default_rng(0)
    for _ in range(200):
        drawn = generator.multinomial(items, [shares[label] for label in classes])
        other = better_order(drawn.tolist(), classes, shares)
        assert other is None or not other.is_clear


@pytest.mark.parametrize(("name", "items"), [("emotion", 300), ("fer2013", 2000)])
def test_alphabetical_ids_are_found_in_a_part_of_the_corpus(name, items):
    classes, expected = SHARES[name]
    shares = published_shares(expected, classes)
    generator = np.random.default_rng(1)
    for _ in range(50):
        drawn = generator.multinomial(items, [shares[label] for label in sorted(classes)])
        other = better_order(drawn.tolist(), classes, shares)
        assert other is not None
        assert other.is_clear
        assert other.names == tuple(sorted(classes))


def test_two_classes_of_near_size_that_are_swapped_are_found_in_the_whole_corpus():
    classes, expected = SHARES["emotion"]
    swapped = ["sadness", "joy", "love", "fear", "anger", "surprise"]
    other = better_order([expected["classes"][name] for name in swapped], classes,
                         published_shares(expected, classes))  # fmt: skip
    assert other is not None
    assert other.names == tuple(swapped)


def test_a_balanced_part_passes():
    for classes, expected in SHARES.values():
        assert (
            better_order([50] * len(classes), classes, published_shares(expected, classes)) is None
        )


def test_a_part_with_fewer_of_one_class_passes():
    classes, expected = SHARES["emotion"]
    counts = [expected["classes"][name] for name in classes]
    counts[classes.index("joy")] //= 2  # now fewer than sadness
    other = better_order(counts, classes, published_shares(expected, classes))
    assert other is None or not other.is_clear


def test_shares_that_fit_no_order_pass():
    """Data of other origin, with ids: some order fits better than the one as read, none well."""
    classes, expected = SHARES["emotion"]
    other = better_order([50, 50, 2000, 60, 40, 55], classes, published_shares(expected, classes))
    assert other is None


def goemotions(folder, order):
    shares = published_shares(REGISTRY["goemotions"]["expected"], GOEMOTIONS_CLASSES)
    folder.mkdir()
    for file, items in (("train.tsv", 4000), ("dev.tsv", 500), ("test.tsv", 500)):
        rows = [
            f"text {place} of {name}\t{number}\tx{place}\n"
            for number, name in enumerate(GOEMOTIONS_CLASSES)
            for place in range(max(1, round(items * shares[name])))
        ]
        (folder / file).write_text("".join(rows))
    (folder / "emotions.txt").write_text("\n".join(order))
    return folder


@pytest.mark.parametrize("layout", ["goemotions", "goemotions_spans"])
def test_a_list_of_names_in_the_order_of_the_other_corpus_stops(tmp_path, layout):
    entry = {"layout": layout, "expected": REGISTRY[layout]["expected"]}
    options = {"on_bad_record": "fail", "split": None, "entry": entry}
    paths = (tmp_path / "r.jsonl", tmp_path / "q.jsonl", tmp_path / "d.json")
    if layout == "goemotions":
        right = goemotions(tmp_path / "right", GOEMOTIONS_CLASSES)
        entity.convert(right, *paths, **options)
    wrong = goemotions(tmp_path / "wrong", SPAN_ORDER)
    with pytest.raises(DataError, match="fit the order 0 admiration, 1 amusement, 2 anger"):
        entity.convert(wrong, *paths, **options)


def test_span_labels_in_the_order_of_the_other_corpus_stop(tmp_path):
    expected = REGISTRY["entity"]["expected"]
    options = {
        "entry": {"layout": "entity_spans", "expected": expected},
        "on_bad_record": "fail",
        "split": Split(validation=0.1, test=0.2),
    }
    for name, order in (("right", SPAN_ORDER), ("wrong", GOEMOTIONS_CLASSES)):
        lines = [
            json.dumps({"text": f"{label} {place}", "targets": [{
                "span_text": label, "char_start": 0, "char_end": len(label), "intensity": 1.0,
                "soft_label": [float(own == label) for own in order]}]})
            for label in SPAN_ORDER
            for place in range(round(1452 * expected["shares"][label]))
        ]  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "spans.jsonl").write_text("\n".join(lines))
    paths = (tmp_path / "r", tmp_path / "q", tmp_path / "d")
    entity.convert(tmp_path / "right", *paths, **options)
    with pytest.raises(DataError, match="fit the order 0 admiration, 1 amusement, 2 anger"):
        entity.convert(tmp_path / "wrong", *paths, **options)


def test_numbers_of_emotions_in_file_names_are_checked(tmp_path):
    order = sorted(TASKS["8emo"].classes)
    for actor in range(1, 25):
        for number, emotion_name in enumerate(order, start=1):
            for take in range(1, 5 if emotion_name == "neutral" else 9):
                name = f"03-01-{number:02d}-0{(take + 3) // 4}-0{take % 2 + 1}-0{take % 4 // 2 + 1}"
                (tmp_path / "raw").mkdir(exist_ok=True)
                (tmp_path / "raw" / f"{name}-{actor:02d}.wav").touch()
    outputs = audio.Outputs(*(tmp_path / name for name in ("r.jsonl", "q.jsonl", "d.json")))
    with pytest.raises(DataError, match="fit the order 0 angry, 1 calm"):
        audio.convert(tmp_path / "raw", outputs, REGISTRY["ravdess"], "fail")


def face_csv(folder, order, counts):
    rows = "\n".join(
        f"{order.index(name)},{' '.join(['7'] * 2303 + [str(place % 256)])},{usage}"
        for usage in ("Training", "PublicTest", "PrivateTest")
        for name, count in counts.items()
        for place in range(count)
    )
    folder.mkdir()
    (folder / "fer2013.csv").write_text(f"emotion,pixels,Usage\n{rows}\n")
    return folder


def convert_faces(tmp_path, raw, expected, votes=None):
    names = ("faces.npy", "metadata.csv", "quarantine.jsonl", "description.json")
    paths = {f"{name.partition('.')[0]}_path": tmp_path / name for name in names}
    entry = {"layout": "fer2013", "expected": expected}
    convert(raw_directory=raw, votes_directory=votes, entry=entry, **paths)
    return face.read_faces(paths["faces_path"], paths["metadata_path"])


def test_a_table_of_faces_in_alphabetical_order_stops(tmp_path):
    published = REGISTRY["fer2013"]["expected"]
    counts = {name: round(count / 60) for name, count in published["classes"].items()}
    right = face_csv(tmp_path / "right", CSV_CLASSES, counts)
    assert len(convert_faces(tmp_path, right, published)) == 3 * sum(counts.values())
    wrong = face_csv(tmp_path / "wrong", FACE_CLASSES, counts)
    with pytest.raises(DataError, match=r"4 sad, 5 surprise, 6 neutral, but .* 4 neutral, 5 sad"):
        convert_faces(tmp_path, wrong, published)


def test_classes_that_the_votes_contradict_stop(tmp_path):
    """Folders are names, so no count tells that two were swapped; the taggers do."""
    face_sample.write_corpus(tmp_path / "raw", counts={"Training": 300, "PublicTest": 60})
    face_sample.write_votes(tmp_path / "votes", counts={"Training": 300, "PublicTest": 60})
    assert len(convert_faces(tmp_path, tmp_path / "raw", {}, tmp_path / "votes")) == 360
    table = tmp_path / "raw" / "fer2013.csv"
    header, *rows = table.read_text().splitlines()
    names = [CSV_CLASSES[int(row.split(",")[0])] for row in rows]
    other = {"sad": "happy", "happy": "sad"}
    swapped = [
        f"{other.get(name, name)},{row.partition(',')[2]}"
        for name, row in zip(names, rows, strict=True)
    ]
    table.write_text("\n".join([header, *swapped]) + "\n")
    with pytest.raises(DataError, match=r"by the FER\+ votes .* happy -> sad .* sad -> happy"):
        convert_faces(tmp_path, tmp_path / "raw", {}, tmp_path / "votes")


def test_votes_that_often_name_another_class_do_not_stop():
    """As in FER+: of the images called fear the taggers call two in three something else."""
    votes, names = [], []
    for name in FACE_CLASSES:
        for place in range(60):
            row = [0] * len(TAGS)
            weak = name == "fear" and place % 3
            row[TAGS.index("surprise" if weak else TAG_OF_CLASS[name])] = 7
            row[TAGS.index("neutral")] += 3
            votes.append(row)
            names.append(name)
    table = agreement_counts(names, np.array(votes))
    assert table[FACE_CLASSES.index("fear"), FACE_CLASSES.index("surprise")] == 40
    assert other_meaning(table) is None


@pytest.mark.parametrize("layout", emotion_sample.LAYOUTS)
def test_generated_corpora_fit_their_entries(tmp_path, layout):
    for seed in range(2):
        emotion_sample.write_corpus(tmp_path / f"raw{seed}", seed=seed, layout=layout)
        records = convert_emotion(
            tmp_path, tmp_path / f"raw{seed}", REGISTRY["emotion_sample"]["expected"]
        )
        assert len(records) == 1300


def test_generated_faces_fit_their_entry():
    shares = published_shares(REGISTRY["face_sample"]["expected"], CSV_CLASSES)
    labels = face_sample.make_corpus(0, {"Training": 200, "PublicTest": 40}).labels
    counts = np.bincount(labels, minlength=len(CSV_CLASSES)).tolist()
    check_label_order("sample", {"train": counts}, CSV_CLASSES, {"shares": shares})


@pytest.mark.parametrize("name", REGISTRY)
def test_every_entry_has_class_counts_or_says_why_not(name):
    expected = REGISTRY[name].get("expected", {})
    given = [key for key in ("classes", "shares", "no_classes") if expected.get(key)]
    assert len(given) == 1
    if "shares" in expected:
        assert sum(expected["shares"].values()) == pytest.approx(1, abs=0.001)
