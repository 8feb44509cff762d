"""Users' own recordings with numbers: how they are read, divided, audited and proposed."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from affectlab.audio.audit import write_audit
from affectlab.audio.convert import Outputs, convert
from affectlab.audio.data import read_clips, usable_clips
from affectlab.audio.items import make_items
from affectlab.audio.model import ProbeModel, load, save
from affectlab.audio.overlay import overlay
from affectlab.audio.predict import AudioProbe, AudioRegressor
from affectlab.audio.store import Embeddings
from affectlab.config.load import load_config, merge
from affectlab.datasets.description import read_description
from affectlab.datasets.overlay import as_yaml
from affectlab.errors import ConfigError, DataError, UserError
from affectlab.experiments import validate_config
from affectlab.files.io import read_json, read_jsonl, write_jsonl

PROJECT = Path(__file__).parents[2]
RATE = 8000
NAMES = ["valence", "arousal"]
ENTRY = {"layout": "audio_folder", "target": "numbers", "columns": {"label": NAMES}}


def sound(seed, seconds=0.5):
    generator = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    tones = [np.sin(2 * np.pi * f * time) for f in generator.uniform(150, 3000, 5)]
    levels = [
        np.interp(time, np.linspace(0, seconds, 8), generator.uniform(0, 1, 8)) for _ in tones
    ]
    mixed = sum(level * tone for level, tone in zip(levels, tones, strict=True))
    return 0.1 * mixed + 0.001 * generator.standard_normal(len(time))


def rated_rows(root, subjects=6, takes=4, seconds=lambda row: 0.5):
    """Recordings below *root*/raw, and rows of name, numbers and subject."""
    generator = np.random.default_rng(0)
    (root / "raw" / "audio").mkdir(parents=True)
    rows = []
    for number in range(subjects * takes):
        name, subject = f"audio/{number:02d}.wav", f"S{number % subjects}"
        row = [name, *(f"{one:.2f}" for one in generator.uniform(1, 9, 2)), subject]
        soundfile.write(root / "raw" / name, sound(number, seconds(row)), RATE)
        rows.append(row)
    return rows


def write_table(root, rows, name="metadata.csv", header=("file_name", *NAMES, "subject")):
    lines = [",".join(row) for row in [header, *rows]]
    (root / "raw" / name).write_text("\n".join(lines) + "\n")


def outputs_in(root):
    names = ("records.jsonl", "quarantine.jsonl", "description.json")
    return Outputs(*(root / name for name in names))


def converted(root, on_bad_record="fail", **entry):
    outputs = outputs_in(root)
    convert(root / "raw", outputs, {**ENTRY, **entry}, on_bad_record)
    return read_clips(outputs.records), read_description(outputs.description)


def audited(root, **entry):
    """The kinds of traps, their sentences as one text, and the findings."""
    converted(root, **entry)
    outputs = outputs_in(root)
    write_audit(
        records_path=outputs.records,
        quarantine_path=outputs.quarantine,
        description_path=outputs.description,
        raw_directory=root / "raw",
        audit_path=root / "audit.json",
        measures_path=root / "measures.jsonl",
        expected={},
        on_bad_record="fail",
        threads=1,
    )
    found = read_json(root / "audit.json")
    traps = found["traps"]
    return {trap["name"] for trap in traps}, " ".join(trap["sentence"] for trap in traps), found


# --- reading and division


@pytest.mark.parametrize(
    ("layout", "table", "file"),
    [("audio_folder", "metadata.csv", "file_name"), ("audio_manifest", "manifest.csv", "clip")],
)
def test_each_clip_has_its_numbers(tmp_path, layout, table, file):
    rows = rated_rows(tmp_path)
    write_table(tmp_path, rows, table, (file, *NAMES, "subject"))
    clips, description = converted(tmp_path, layout=layout)
    assert (description.classes, description.target) == (tuple(NAMES), "numbers")
    assert [(clip.id, list(clip.values.items()), clip.subject) for clip in clips] == [
        (row[0], [("valence", float(row[1])), ("arousal", float(row[2]))], row[3]) for row in rows
    ]
    (record, *_) = read_jsonl(outputs_in(tmp_path).records)
    assert "labels" not in record


def test_a_single_number_may_have_any_name(tmp_path):
    rows = [[row[0], row[1], row[3]] for row in rated_rows(tmp_path)]
    write_table(tmp_path, rows, header=("file_name", "joy", "subject"))
    clips, description = converted(tmp_path, columns={"label": "joy"})
    assert description.classes == ("joy",)
    assert list(clips[0].values) == ["joy"]


@pytest.mark.parametrize("layout", ["audio_folder", "audio_manifest"])
@pytest.mark.parametrize(
    ("cell", "problem"),
    [("", "arousal is empty"), ("high", "'high', expected a finite number"), ("nan", "'nan'")],
)
def test_a_cell_that_is_no_number_makes_a_bad_row(tmp_path, layout, cell, problem):
    rows = rated_rows(tmp_path)
    rows[3][2] = cell
    table = ("metadata.csv", "file_name") if layout == "audio_folder" else ("manifest.csv", "clip")
    write_table(tmp_path, rows, table[0], (table[1], *NAMES, "subject"))
    with pytest.raises(DataError, match=f"line 5: .*{problem}"):
        converted(tmp_path, layout=layout)
    clips, _ = converted(tmp_path, "skip", layout=layout)
    assert len(clips) == len(rows) - 1


@pytest.mark.parametrize("layout", ["audio_folder", "audio_manifest"])
def test_a_missing_column_is_named(tmp_path, layout):
    rows = [row[:2] + row[3:] for row in rated_rows(tmp_path)]
    table = ("metadata.csv", "file_name") if layout == "audio_folder" else ("manifest.csv", "clip")
    write_table(tmp_path, rows, table[0], (table[1], "valence", "subject"))
    with pytest.raises(DataError, match="arousal"):
        converted(tmp_path, layout=layout)


def test_folders_of_classes_have_no_numbers(tmp_path):
    rated_rows(tmp_path)
    with pytest.raises(DataError, match=r"expected metadata\.csv with the columns file_name and"):
        converted(tmp_path)


def test_a_split_is_made_by_subject_and_spreads_the_first_number(tmp_path):
    write_table(tmp_path, rated_rows(tmp_path, subjects=20, takes=2))
    clips, description = converted(tmp_path, split={"test": 0.3, "validation": 0.2, "seed": 1})
    splits = {}
    for clip in clips:
        splits.setdefault(clip.subject, set()).add(clip.split)
    assert all(len(own) == 1 for own in splits.values())
    assert set().union(*splits.values()) == {"train", "validation", "test"}
    assert len(description.split_sha256) == 64


# --- traps


def test_clean_data_have_no_traps_and_describe_their_numbers(tmp_path):
    rows = rated_rows(tmp_path)
    write_table(tmp_path, rows)
    names, _, found = audited(tmp_path)
    assert names == set()
    values = np.array([[float(cell) for cell in row[1:3]] for row in rows])
    assert found["numbers"]["arousal"]["mean"] == pytest.approx(values[:, 1].mean(), rel=1e-4)
    assert found["numbers"]["valence"]["max"] == values[:, 0].max()
    assert found["conditions"] == {}


def test_traps_of_subjects_and_conditions(tmp_path):
    rows = rated_rows(tmp_path, 8, 5, seconds=lambda row: 0.2 + float(row[2]) / 10)
    for row in rows:
        row[1] = row[3][1:]
    rows[0][3] = "s0 "
    write_table(tmp_path, rows)
    names, text, _ = audited(tmp_path)
    assert names == {
        "name_in_two_spellings",
        "number_constant_per_group",
        "condition_predicts_number",
    }
    assert "In 8 of 8 groups by subject, all clips have the same valence" in text
    assert "The number arousal can be predicted better than by chance" in text
    assert "of a clip alone: seconds. Compare" in text


def test_a_number_that_is_the_same_for_all_is_refused(tmp_path):
    rows = rated_rows(tmp_path)
    for row in rows:
        row[1] = "4"
    write_table(tmp_path, rows)
    with pytest.raises(UserError, match="the number valence is the same for all clips"):
        audited(tmp_path)


# --- items


def items_of(root, unit="clip"):
    outputs = outputs_in(root)
    clips = usable_clips(outputs.records, root / "measures.jsonl")
    ids = tuple(clip.id for clip in clips)
    vectors = np.zeros((len(ids), 1, 2, 3), dtype=np.float32)
    facts = {"encoder": {"kind": "logmel"}}
    subjects = tuple(clip.subject for clip in clips)
    embeddings = Embeddings(ids, subjects, ids, ("last",), vectors, facts)
    description = read_description(outputs.description)
    measures = root / "measures.jsonl"
    return make_items(outputs.records, measures, embeddings, description, "label", unit)


def test_numbers_of_clips_are_not_pooled_by_subject(tmp_path):
    rows = rated_rows(tmp_path)
    write_table(tmp_path, rows)
    audited(tmp_path)
    found = items_of(tmp_path)
    expected = {row[0]: [float(cell) for cell in row[1:3]] for row in rows}
    assert found.target.values.tolist() == [expected[name] for name in found.ids]
    with pytest.raises(UserError, match=r"several labels .* set unit to clip"):
        items_of(tmp_path, "subject")


def test_records_with_other_numbers_are_refused(tmp_path):
    write_table(tmp_path, rated_rows(tmp_path))
    audited(tmp_path)
    records = outputs_in(tmp_path).records
    rows = list(read_jsonl(records))
    rows[2]["values"] = dict(reversed(rows[2]["values"].items()))
    write_jsonl(records, rows, sealed=True)
    with pytest.raises(DataError, match=f"the clip {rows[2]['id']} has other numbers"):
        items_of(tmp_path)


def test_numbers_of_subjects_are_pooled(tmp_path):
    rows = rated_rows(tmp_path)
    for row in rows:
        row[1:3] = row[3][1:], str(10 + int(row[3][1:]))
    write_table(tmp_path, rows)
    audited(tmp_path)
    found = items_of(tmp_path, "subject")
    assert found.ids == [f"S{number}" for number in range(6)]
    assert found.target.values.tolist() == [[number, 10 + number] for number in range(6)]


# --- configuration


def checked(tmp_path, entry, **run):
    own = {"path": str(tmp_path), "layout": "audio_folder", **entry}
    block = {"like": "eatd_3emo_logmel", "task": "label", "data": "mine", **run}
    extra = {"datasets": {"mine": own}, "audio": {"runs": {"mine": block}}}
    validate_config(merge(load_config(PROJECT), extra), PROJECT)


def test_numbers_need_the_corrected_protocol(tmp_path):
    entry = {"target": "numbers", "columns": {"label": NAMES}}
    checked(tmp_path, entry)
    published = {"like": "eatd_3emo_clap_published"}
    with pytest.raises(ConfigError, match=r"mine\.protocol: the target of 'mine' is numbers"):
        checked(tmp_path, entry, **published)


@pytest.mark.parametrize("layout", ["audio_folder", "audio_manifest"])
def test_a_configuration_is_proposed(tmp_path, layout):
    rows = rated_rows(tmp_path)
    table = ("metadata.csv", "file_name") if layout == "audio_folder" else ("manifest.csv", "clip")
    header = (table[1], "Valence", "arousal", "speaker")
    write_table(tmp_path, rows, table[0], header)
    found = overlay(tmp_path / "raw")
    assert found.entry["target"] == "numbers"
    assert found.entry["columns"] == {"label": ["Valence", "arousal"], "subject": "speaker"}
    text = yaml.safe_load(as_yaml(found, "mine", tmp_path / "raw"))
    validate_config(merge(load_config(PROJECT), text), PROJECT)


def test_classes_go_before_numbers(tmp_path):
    rows = [
        [*row, "calm" if place % 2 else "keen"] for place, row in enumerate(rated_rows(tmp_path))
    ]
    write_table(tmp_path, rows, header=("file_name", *NAMES, "subject", "emotion"))
    found = overlay(tmp_path / "raw")
    assert "target" not in found.entry
    assert found.entry["classes"] == ["calm", "keen"]


# --- the stored probe


FACTS = {
    "numbers": NAMES,
    "encoder": {"kind": "logmel"},
    "statistics": ["mean"],
    "task": "label",
    "unit": "clip",
    "view": "logmel",
    "warning": "none",
}


def stored(folder, **changes):
    mean, scale = np.zeros(80, np.float32), np.ones(80, np.float32)
    layer = np.ones((80, 2), np.float32), np.array([5, 50], np.float32)
    facts = {key: value for key, value in {**FACTS, **changes}.items() if value is not None}
    save(ProbeModel(mean, scale, [layer], facts), folder)
    return folder


def test_a_probe_of_numbers_gives_numbers(tmp_path):
    folder = stored(tmp_path / "model")
    soundfile.write(tmp_path / "a.wav", sound(0), RATE)
    probe = AudioRegressor.from_directory(folder)
    found = probe.predict(tmp_path / "a.wav")
    assert list(found.values) == NAMES
    assert found.values["arousal"] - found.values["valence"] == pytest.approx(45)
    assert found.to_dict()["file"].endswith("a.wav")
    with pytest.raises(UserError, match="expected a probe of classes, found one of numbers"):
        AudioProbe.from_directory(folder)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"numbers": ["valence"]}, "weights for 2 numbers, 1 names"),
        ({"numbers": "valence"}, "numbers: expected a list of texts"),
        ({"numbers": None}, "lacks classes, temperature"),
    ],
)
def test_a_broken_probe_is_refused(tmp_path, changes, problem):
    with pytest.raises(DataError, match=problem):
        load(stored(tmp_path / "model", **changes))
