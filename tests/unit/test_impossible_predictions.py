"""Predictions that no model can make are refused, whichever experiment scores them.

Each test changes one stored value of a file that is scored without it, and scores the file.
"""

import json
import math

import numpy as np
import pytest
from emotion_tables import data_in, described
from scored_runs import scored_run

from affectlab.audio import evaluate as audio
from affectlab.audio import model as audio_model
from affectlab.audio import predictions as audio_predictions
from affectlab.audio.settings import AudioRun
from affectlab.emotion import evaluate as emotion
from affectlab.emotion.data import CLASSES as EMOTIONS
from affectlab.emotion.settings import EmotionRun
from affectlab.entity import predictions as entity
from affectlab.entity.corrupt import VARIANTS
from affectlab.entity.labels import CLASSES as ENTITY_CLASSES
from affectlab.errors import DataError
from affectlab.face import evaluate as face
from affectlab.face.convert import convert
from affectlab.face.data import read_faces
from affectlab.face.faces import CLASSES as FACES
from affectlab.face.labels import LIMITS
from affectlab.files.io import read_jsonl, write_json, write_jsonl
from affectlab.samples import face as face_samples
from affectlab.summary.answers import read_answers
from affectlab.summary.cases import FIELDS, Case

NAN, INFINITE = math.nan, math.inf


def write_raw_jsonl(path, rows):
    """Also what `write_jsonl` refuses, as NaN."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def changed(rows, change, place=1):
    """*rows* with the row at *place* changed; *change* gives its new values, or None to drop it."""
    new = change(dict(rows[place]))
    return rows[:place] + ([] if new is None else [new]) + rows[place + 1 :]


def shares(values, index=0, **others):
    """Probabilities of a list or an object with one of them replaced."""
    if isinstance(values, dict):
        return values | {list(values)[index]: others["value"]}
    return [others["value"] if place == index else one for place, one in enumerate(values)]


# What may be wrong with probabilities, in every experiment that has any -> part of the message.
WRONG_SHARES = {
    "nan": (lambda p: shares(p, value=NAN), "finite"),
    "infinite": (lambda p: shares(p, value=INFINITE), "finite"),
    "negative": (lambda p: shares(p, value=-0.25), "expected 0 to 1, found -0.25"),
    "huge": (lambda p: shares(p, value=1e308), "expected 0 to 1"),
    "sum": (lambda p: dict.fromkeys(p, 0.9) if isinstance(p, dict) else [0.9] * len(p), "sum of 1"),
    "none": (lambda p: dict.fromkeys(p, 0.0) if isinstance(p, dict) else [0.0] * len(p), "of 1"),
}
WRONG_SHARES_OF_JSON = WRONG_SHARES | {
    "text": (lambda p: shares(p, value="0.5"), "expected a number, found '0.5'"),
    "flag": (lambda p: shares(p, value=True), "expected a number, found True"),
    "digits": (lambda p: shares(p, value=10**400), "expected 0 to 1|finite"),
    "few": (lambda p: list(p)[:-1], "expected a number for each of"),
    "nothing": (lambda p: None, "expected a number for each of"),
}


def with_shares(wrong, field="probabilities"):
    return lambda row: row | {field: wrong(row[field])}


# --- emotion -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def emotion_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("emotion")
    records = [
        {
            "id": f"{split}-{number}",
            "text": f"{split} text {number}",
            "label": EMOTIONS[number % 6],
            "split": split,
        }
        for split in ("train", "validation", "test")
        for number in range(12)
    ]
    write_jsonl(folder / "records.jsonl", records)
    described(folder)
    write_json(folder / "audit.json", {"overlap": {"test_in_train": []}})
    rows = [
        {
            "id": one["id"],
            "split": one["split"],
            "label": one["label"],
            "prediction": one["label"],
            "probabilities": {name: 0.5 if name == one["label"] else 0.1 for name in EMOTIONS},
        }
        for one in records
        if one["split"] != "train"
    ]
    return folder, rows


def score_emotion(run, rows, out):
    folder, _ = run
    write_raw_jsonl(out / "predictions.jsonl", rows)
    emotion.evaluate(
        scored_run(out, EmotionRun(method="tfidf", data="made")),
        predictions_path=out / "predictions.jsonl",
        data=data_in(folder),
        data_paths=(folder / "records.jsonl",),
        audit_path=folder / "audit.json",
        baseline=None,
        text_path=out / "results.txt",
        figures=out / "figures",
    )


WRONG_LABELLED = {
    "missing": (lambda row: None, "no prediction for 1 items of the split"),
    "other label": (lambda row: row | {"label": other(row["label"])}, "is not that of the records"),
    "no id": (lambda row: row | {"id": None}, "id: expected a text, found None"),
    "number as id": (lambda row: row | {"id": 3}, "id: expected a text, found 3"),
    "unlikely": (
        lambda row: row | {"prediction": other(row["prediction"])},
        "another class has a higher probability",
    ),
}


def other(label):
    names = EMOTIONS if label in EMOTIONS else FACES
    return names[names.index(label) - 1]


@pytest.mark.parametrize("name", [*WRONG_SHARES_OF_JSON, *WRONG_LABELLED])
def test_emotion(emotion_run, tmp_path, name):
    change, message = (
        WRONG_LABELLED[name]
        if name in WRONG_LABELLED
        else (with_shares(WRONG_SHARES_OF_JSON[name][0]), WRONG_SHARES_OF_JSON[name][1])
    )
    with pytest.raises(DataError, match=rf"predictions\.jsonl(, record 2)?: .*({message})"):
        score_emotion(emotion_run, changed(emotion_run[1], change), tmp_path)
    assert not (tmp_path / "metrics.json").exists()


def test_emotion_without_a_change_is_scored(emotion_run, tmp_path):
    score_emotion(emotion_run, emotion_run[1], tmp_path)
    assert (tmp_path / "metrics.json").exists()


def test_emotion_repeated(emotion_run, tmp_path):
    rows = [*emotion_run[1], emotion_run[1][3]]
    with pytest.raises(DataError, match="record 25: a second prediction for 'validation-3'"):
        score_emotion(emotion_run, rows, tmp_path)


# --- face ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def face_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("face")
    counts = {"Training": 8, "PublicTest": 8, "PrivateTest": 8}
    face_samples.write_corpus(folder / "raw", 0, "csv", counts)
    paths = {"faces_path": folder / "faces.npy", "metadata_path": folder / "metadata.csv"}
    convert(
        raw_directory=folder / "raw",
        votes_directory=None,
        quarantine_path=folder / "quarantine.jsonl",
        description_path=folder / "description.json",
        entry={"layout": "fer2013"},
        **paths,
    )
    data = face.ScoredData(read_faces(*paths.values()), {}, paths["metadata_path"])
    corpus = face.corpus_of(data, "test")
    rows = [
        {
            "id": name,
            "split": split,
            "label": FACES[label],
            "prediction": FACES[label],
            "probabilities": {one: 0.4 if one == FACES[label] else 0.1 for one in FACES},
            "valence": 0.5,
            "arousal": -0.5,
            "iq_proxy": 1.5,
            "eq_proxy": -1.5,
        }
        for split in ("validation", "test")
        for name, label in corpus.labels[split].items()
    ]
    return corpus, rows


def read_face(run, rows, out):
    from affectlab.evaluation.classification import read_predictions

    write_raw_jsonl(out / "predictions.jsonl", rows)
    read_predictions(out / "predictions.jsonl", run[0])
    return face.read_regressed(out / "predictions.jsonl", "test", tuple(LIMITS))


@pytest.mark.parametrize("name", [*WRONG_SHARES_OF_JSON, *WRONG_LABELLED])
def test_face(face_run, tmp_path, name):
    change, message = (
        WRONG_LABELLED[name]
        if name in WRONG_LABELLED
        else (with_shares(WRONG_SHARES_OF_JSON[name][0]), WRONG_SHARES_OF_JSON[name][1])
    )
    with pytest.raises(DataError, match=message):
        read_face(face_run, changed(face_run[1], change), tmp_path)


@pytest.mark.parametrize("field", ["valence", "arousal", "iq_proxy", "eq_proxy"])
@pytest.mark.parametrize("value", [NAN, -INFINITE, 1e308, 2.5, "0.1", None, True, [0.1]])
def test_face_values(face_run, tmp_path, field, value):
    rows = changed(face_run[1], lambda row: row | {field: value}, place=-1 + len(face_run[1]))
    with pytest.raises(DataError, match=f"record {len(rows)}: {field}: expected"):
        read_face(face_run, rows, tmp_path)


def test_face_without_a_change_is_read(face_run, tmp_path):
    assert len(read_face(face_run, face_run[1], tmp_path)["id"]) == 8


# --- entity --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def entity_run():
    ids = {split: [f"{split}-{number}" for number in range(4)] for split in entity.HELD_OUT}
    ones = np.full((4, 28), 1 / 28)
    splits = {
        split: entity.SplitLabels(names, ones, np.ones(4), np.arange(4))
        for split, names in ids.items()
    }
    conditions = {split: np.zeros((4, 2), dtype=np.int64) for split in entity.HELD_OUT}
    corpus = entity.Corpus(ENTITY_CLASSES, splits, ones[0], False, conditions)
    rows = [
        {
            "id": name,
            "split": split,
            "variant": variant,
            "kappa_raw": 3.0,
            "kappa": 2.0,
            "probabilities": [1 / 28] * 28,
            "mu": [1.0] + [0.0] * 63,
            "pooled": [0.5] * 5 if (split, variant) == ("test", "clean") else None,
        }
        for split, variant in (
            ("validation", "clean"),
            *(("test", one) for one in VARIANTS),
        )
        for name in ids[split]
    ]
    return corpus, rows


def read_entity(run, rows, out):
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(rows), out / "predictions.parquet")
    return entity.read_predictions(out / "predictions.parquet", [run[0]])[0]


WRONG_ENTITY = {
    "kappa -1": (lambda row: row | {"kappa": -1.0}, "record 6: kappa: expected"),
    "kappa 0": (lambda row: row | {"kappa": 0.0}, "record 6: kappa: expected more than 0"),
    "kappa nan": (lambda row: row | {"kappa": NAN}, "record 6: kappa: expected a finite"),
    "kappa none": (lambda row: row | {"kappa": None}, "record 6: kappa: expected a number"),
    "mu nan": (lambda row: row | {"mu": [NAN, *row["mu"][1:]]}, "record 6: mu: expected finite"),
    "mu long": (lambda row: row | {"mu": [2.0] * 64}, "record 6: mu: expected a vector of"),
    "mu short": (lambda row: row | {"mu": [1.0]}, "record 6: mu: expected 64 numbers"),
    "mu none": (lambda row: row | {"mu": None}, "record 6: mu: expected 64 numbers"),
    "pooled nan": (lambda row: row | {"pooled": [NAN] * 5}, "record 6: pooled: expected finite"),
    "missing": (lambda row: None, r"no prediction for 1 items of the split test \(clean\): test-1"),
    "extra": (lambda row: row | {"id": "x"}, r"x: no item of the split test"),
    "variant": (lambda row: row | {"variant": "x"}, "record 6: the split test has no variant x"),
    "twice": (lambda row: row | {"id": "test-0"}, "record 6: a second prediction for 'test-0'"),
}


@pytest.mark.parametrize("name", [*WRONG_SHARES, *WRONG_ENTITY])
def test_entity(entity_run, tmp_path, name):
    change, message = (
        WRONG_ENTITY[name]
        if name in WRONG_ENTITY
        else (with_shares(WRONG_SHARES[name][0]), f"record 6: .*{WRONG_SHARES[name][1]}")
    )
    with pytest.raises(DataError, match=message):
        read_entity(entity_run, changed(entity_run[1], change, place=5), tmp_path)


def test_entity_of_another_variant_is_checked_as_well(entity_run, tmp_path):
    rows = changed(entity_run[1], lambda row: row | {"kappa": -3.0}, place=15)
    with pytest.raises(DataError, match="record 16: kappa"):
        read_entity(entity_run, rows, tmp_path)


def test_entity_without_a_change_is_read(entity_run, tmp_path):
    found = read_entity(entity_run, entity_run[1], tmp_path)["test"]
    assert found.embedding.kappa.tolist() == [2.0] * 4


def test_entity_no_table(entity_run, tmp_path):
    (tmp_path / "predictions.parquet").write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(DataError, match="not a table of predictions"):
        entity.read_predictions(tmp_path / "predictions.parquet", [entity_run[0]])


# --- audio ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def audio_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    clips = [
        {
            "id": f"c{number:02d}",
            "path": f"c{number:02d}.wav",
            "subject": f"s{number // 4}",
            "labels": {"label": "yes" if number % 2 else "no"},
            "split": None,
            "seconds": None,
        }
        for number in range(24)
    ]
    write_jsonl(folder / "records.jsonl", clips)
    # The audit could not read the last one.
    write_jsonl(folder / "measures.jsonl", [{"id": clip["id"]} for clip in clips[:-1]])
    write_json(folder / "details.json", {"permutation": None, "speaker": None})
    facts = dict.fromkeys(audio_model.FIELDS, "any") | {
        "classes": ["no", "yes"],
        "statistics": ["mean"],
        "temperature": 1.0,
    }
    ones = np.ones(2, dtype=np.float32)
    audio_model.save(audio_model.ProbeModel(ones, ones, [], facts), folder / "model")
    rows = [
        {
            "id": clip["id"],
            "subject": clip["subject"],
            "label": clip["labels"]["label"],
            "scheme": scheme,
            "repeat": repeat,
            "probabilities": [0.25, 0.75],
            "calibrated": [0.5, 0.5],
        }
        for scheme, repeats in (("grouped", 2), ("duration", 1))
        for repeat in range(repeats)
        for clip in clips[:-1]
    ]
    return folder, rows


def score_audio(run, rows, out):
    folder, _ = run
    write_raw_jsonl(out / "predictions.jsonl", rows)
    audio.evaluate(
        scored_run(out, AudioRun(task="label", data="made", encoder="e")),
        predictions_path=out / "predictions.jsonl",
        details_path=folder / "details.json",
        records_path=folder / "records.jsonl",
        measures_path=folder / "measures.jsonl",
        model_directory=folder / "model",
        text_path=out / "results.txt",
        figures=out / "figures",
    )


WRONG_AUDIO = {
    "other subject": (lambda row: row | {"subject": "s5"}, "the subject 's5' is not that of the"),
    "subject of its own": (lambda row: row | {"subject": "c01"}, "the subject 'c01' is not that"),
    "number as subject": (lambda row: row | {"subject": 0}, "subject: expected a text"),
    "other label": (lambda row: row | {"label": "no"}, "the label 'no' is not that of the records"),
    "unknown label": (lambda row: row | {"label": "x"}, "the label 'x' is not that of the records"),
    "missing": (lambda row: None, "the repeats of grouped are not of the same items"),
    "unusable": (lambda row: row | {"id": "c23"}, "'c23' is no item of the records"),
    "twice": (lambda row: row | {"id": "c03", "subject": "s0"}, "a second line for 'c03'"),
    "scheme": (lambda row: row | {"scheme": "x"}, "there is no scheme 'x'"),
    "repeat": (lambda row: row | {"repeat": 7}, "expected repeats from 0 without a gap"),
    "no repeat": (lambda row: row | {"repeat": None}, "repeat: expected a whole number from 0"),
    "half": (lambda row: row | {"repeat": 0.5}, "repeat: expected a whole number from 0"),
    "negative": (lambda row: row | {"repeat": -1}, "repeat: expected a whole number from 0"),
    "uncalibrated": (
        lambda row: {name: value for name, value in row.items() if name != "calibrated"},
        "calibrated: expected in all predictions of grouped",
    ),
}


@pytest.mark.parametrize("field", ["probabilities", "calibrated"])
@pytest.mark.parametrize("name", WRONG_SHARES_OF_JSON)
def test_audio_shares(audio_run, tmp_path, name, field):
    wrong, message = WRONG_SHARES_OF_JSON[name]
    rows = changed(audio_run[1], with_shares(wrong, field))
    with pytest.raises(DataError, match=rf"record 2: .*{field}.*({message})"):
        score_audio(audio_run, rows, tmp_path)


@pytest.mark.parametrize("name", WRONG_AUDIO)
def test_audio(audio_run, tmp_path, name):
    change, message = WRONG_AUDIO[name]
    with pytest.raises(DataError, match=message):
        score_audio(audio_run, changed(audio_run[1], change), tmp_path)
    assert not (tmp_path / "metrics.json").exists()


def test_audio_missing_in_every_repeat(audio_run, tmp_path):
    rows = [row for row in audio_run[1] if row["id"] != "c05"]
    message = "no prediction for 1 items of scheme grouped: c05"
    with pytest.raises(DataError, match=message):
        score_audio(audio_run, rows, tmp_path)


def published(rows, left_out):
    """The rows as of the published protocol, whose validation part is drawn at random."""
    drawn = [row for row in rows if row["id"] not in left_out and row["repeat"] == 0]
    return [row | {"scheme": row["scheme"].replace("grouped", "published")} for row in drawn]


def test_audio_trivial_probes_predict_what_the_published_protocol_drew(audio_run):
    """They are scored on the same random part, which is not all of the corpus."""
    folder, rows = audio_run
    corpus = audio_predictions.read_corpus(
        folder / "records.jsonl", folder / "measures.jsonl", "label", "clip"
    )
    path = folder / "published.jsonl"
    drawn = published(rows, {"c03", "c05"})
    write_jsonl(path, drawn)
    found = audio_predictions.read_predictions(path, ["no", "yes"], corpus, "published")
    assert found["duration"].ids == found["published"].ids
    assert len(found["duration"].ids) == 21
    others = [row for row in drawn if (row["scheme"], row["id"]) != ("duration", "c07")]
    write_jsonl(path, others)
    with pytest.raises(DataError, match="no prediction for 1 items of scheme duration: c07"):
        audio_predictions.read_predictions(path, ["no", "yes"], corpus, "published")


def test_audio_without_the_scheme_of_the_result(audio_run, tmp_path):
    rows = [row for row in audio_run[1] if row["scheme"] == "duration"]
    with pytest.raises(DataError, match="no prediction of the scheme grouped"):
        score_audio(audio_run, rows, tmp_path)


# --- summary -------------------------------------------------------------------------------------


@pytest.fixture
def summary_run(tmp_path):
    cases = [
        Case(str(n), "test", 0, "en", ("d",), ("p",), "", dict.fromkeys(FIELDS, "r"), False, "g")
        for n in (1, 2)
    ]
    from affectlab.summary.answers import SUBMITTED

    rows = [{"id": n} | {SUBMITTED[name]: "text" for name in FIELDS} for n in (1, 2)]
    tokens = {"case_tokens": 9, "cut_tokens": 0, "answer_tokens": 4}
    details = [
        {"id": str(n), "valid": True, "repaired": False, "error": None, **tokens} for n in (1, 2)
    ]
    return cases, rows, details, tmp_path


def read_summary(run, rows, details):
    cases, _, _, folder = run
    write_raw_jsonl(folder / "predictions.jsonl", rows)
    write_raw_jsonl(folder / "details.jsonl", details)
    return read_answers(folder / "predictions.jsonl", folder / "details.jsonl", cases)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row | {"valid": "no"}, "record 2: valid: expected true or false, found 'no'"),
        (lambda row: row | {"valid": 1}, "record 2: valid: expected true or false, found 1"),
        (lambda row: row | {"repaired": None}, "record 2: repaired: expected true or false"),
        (lambda row: row | {"repaired": True}, "record 2: valid and repaired"),
        (lambda row: row | {"error": 5}, "record 2: error: expected a text, found 5"),
        (lambda row: row | {"case_tokens": -1}, "record 2: case_tokens: expected a whole number"),
        (lambda row: row | {"cut_tokens": NAN}, "record 2: cut_tokens: expected a whole number"),
        (lambda row: row | {"answer_tokens": None}, "record 2: answer_tokens: expected a whole"),
        (lambda row: row | {"id": "3"}, "record 2: the id '3' is not one of the cases"),
        (lambda row: row | {"id": "1"}, "record 2: a second line about '1'"),
        (lambda row: None, "nothing about the case 2"),
        (lambda row: {"id": "2"}, "record 2: no valid"),
    ],
)
def test_summary_details(summary_run, change, message):
    _, rows, details, _ = summary_run
    with pytest.raises(DataError, match=rf"details\.jsonl.*{message}"):
        read_summary(summary_run, rows, changed(details, change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row | {"id": True}, "record 2: id: expected a whole number"),
        (lambda row: row | {"id": [2]}, "record 2: id: expected a text"),
        (lambda row: row | {"id": 1}, "record 2: a second prediction for '1'"),
        (lambda row: row | {"predicted_cause": NAN}, "record 2: expected the field predicted_cau"),
        (lambda row: None, "no prediction for 1 items of the split test: 2"),
    ],
)
def test_summary_predictions(summary_run, change, message):
    _, rows, details, _ = summary_run
    with pytest.raises(DataError, match=message):
        read_summary(summary_run, changed(rows, change), details)


def test_summary_called_valid_though_a_field_is_empty(summary_run):
    _, rows, details, _ = summary_run
    with pytest.raises(DataError, match="the case 2 is called valid, but a field"):
        read_summary(summary_run, changed(rows, lambda row: row | {"predicted_cause": ""}), details)


def test_summary_without_a_change_is_read(summary_run):
    assert [one.valid for one in read_summary(summary_run, *summary_run[1:3])] == [True, True]
    assert len(list(read_jsonl(summary_run[3] / "details.jsonl"))) == 2
