"""Users' own recordings with several classes: reading, audit, proposal and prediction."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from affectlab import cli
from affectlab.audio.audit import write_audit
from affectlab.audio.convert import Outputs, convert
from affectlab.audio.data import read_clips, usable_clips
from affectlab.audio.items import make_items
from affectlab.audio.model import ProbeModel, load, save
from affectlab.audio.overlay import overlay
from affectlab.audio.predict import AudioMultilabelProbe, AudioProbe
from affectlab.audio.store import Embeddings
from affectlab.config.load import load_config, merge
from affectlab.datasets.description import read_description
from affectlab.datasets.overlay import as_yaml
from affectlab.errors import ConfigError, DataError, UserError
from affectlab.experiments import validate_config
from affectlab.files.io import read_json, read_jsonl, write_jsonl

PROJECT = Path(__file__).parents[2]
RATE = 8000
NAMES = ["calm", "glad", "sad"]
ENTRY = {"layout": "audio_folder", "target": "classes", "columns": {"label": "moods"}}
LAYOUTS = [
    ("audio_folder", "metadata.csv", "file_name"),
    ("audio_manifest", "manifest.csv", "clip"),
]
SUBSETS = ["calm", "", "calm;sad", "glad", "glad;sad", "calm;glad;sad", "sad", "calm;glad"]


def sound(seed, seconds=0.4):
    generator = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    tones = [np.sin(2 * np.pi * f * time) for f in generator.uniform(150, 3000, 5)]
    levels = [
        np.interp(time, np.linspace(0, seconds, 8), generator.uniform(0, 1, 8)) for _ in tones
    ]
    mixed = sum(level * tone for level, tone in zip(levels, tones, strict=True))
    return 0.1 * mixed + 0.001 * generator.standard_normal(len(time))


def tagged_rows(root, subjects=8, takes=4, seconds=lambda cell: 0.4):
    """Recordings below *root*/raw, and rows of name, classes and subject."""
    (root / "raw" / "audio").mkdir(parents=True)
    generator = np.random.default_rng(0)
    rows = []
    for number in range(subjects * takes):
        name, subject = f"audio/{number:02d}.wav", f"S{number % subjects}"
        cell = SUBSETS[int(generator.integers(len(SUBSETS)))]
        soundfile.write(root / "raw" / name, sound(number, seconds(cell)), RATE)
        rows.append([name, cell, subject])
    return rows


def indicators(rows):
    """The same rows with a column of 0 and 1 for each class, in the order sad, calm, glad."""
    order = ["sad", "calm", "glad"]
    return [
        [row[0], *(str(int(one in row[1].split(";"))) for one in order), row[2]] for row in rows
    ]


def write_table(root, rows, name="metadata.csv", header=("file_name", "moods", "subject")):
    lines = [",".join(row) for row in [header, *rows]]
    (root / "raw" / name).write_text("\n".join(lines) + "\n")


def outputs_in(root):
    return Outputs(*(root / f"{n}" for n in ("records.jsonl", "bad.jsonl", "description.json")))


def converted(root, on_bad_record="fail", similar_names="refuse", **entry):
    outputs = outputs_in(root)
    given = {**ENTRY, **entry}
    convert(root / "raw", outputs, given, on_bad_record, similar_names=similar_names)
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


@pytest.mark.parametrize(("layout", "table", "file"), LAYOUTS)
def test_each_clip_has_its_classes(tmp_path, layout, table, file):
    rows = tagged_rows(tmp_path)
    write_table(tmp_path, rows, table, (file, "moods", "subject"))
    clips, description = converted(tmp_path, layout=layout)
    assert (description.classes, description.target) == (tuple(NAMES), "classes")
    assert [(clip.id, clip.classes, clip.subject) for clip in clips] == [
        (row[0], tuple(one for one in row[1].split(";") if one), row[2]) for row in rows
    ]
    (record, *_) = read_jsonl(outputs_in(tmp_path).records)
    assert {"labels", "values"}.isdisjoint(record)


@pytest.mark.parametrize(("layout", "table", "file"), LAYOUTS)
def test_columns_of_0_and_1_are_classes_in_their_order(tmp_path, layout, table, file):
    rows = tagged_rows(tmp_path)
    write_table(tmp_path, indicators(rows), table, (file, "sad", "calm", "glad", "subject"))
    clips, description = converted(
        tmp_path, layout=layout, columns={"label": ["sad", "calm", "glad"]}
    )
    assert description.classes == ("sad", "calm", "glad")
    for clip, row in zip(clips, rows, strict=True):
        assert set(clip.classes) == {one for one in row[1].split(";") if one}
        assert list(clip.classes) == sorted(clip.classes, key=description.classes.index)


@pytest.mark.parametrize(("layout", "table", "file"), LAYOUTS)
def test_a_cell_that_is_no_class_makes_a_bad_row(tmp_path, layout, table, file):
    rows = tagged_rows(tmp_path)
    rows[3][1] = "calm;merry"
    write_table(tmp_path, rows, table, (file, "moods", "subject"))
    with pytest.raises(DataError, match=r"line 5: .*unknown label 'merry', expected one of calm"):
        converted(tmp_path, layout=layout, classes=NAMES)
    clips, _ = converted(tmp_path, "skip", layout=layout, classes=NAMES)
    assert len(clips) == len(rows) - 1


def test_a_cell_that_is_neither_0_nor_1_makes_a_bad_row(tmp_path):
    rows = indicators(tagged_rows(tmp_path))
    rows[2][1] = "2"
    write_table(tmp_path, rows, header=("file_name", "sad", "calm", "glad", "subject"))
    with pytest.raises(DataError, match="line 4: sad is a string '2', expected 0 or 1"):
        converted(tmp_path, columns={"label": ["sad", "calm", "glad"]})


def test_classes_in_two_spellings_are_refused_or_merged(tmp_path):
    rows = tagged_rows(tmp_path)
    place = next(number for number, row in enumerate(rows) if row[1] == "calm")
    rows[place][1] = "Calm"
    write_table(tmp_path, rows)
    with pytest.raises(DataError, match="'Calm' and 'calm' differ in spelling only"):
        converted(tmp_path)
    clips, description = converted(tmp_path, similar_names="merge")
    assert description.classes == tuple(NAMES)
    assert clips[place].classes == ("calm",)


def test_folders_of_classes_do_not_list_several(tmp_path):
    tagged_rows(tmp_path)
    with pytest.raises(DataError, match=r"expected metadata\.csv .* those of the classes"):
        converted(tmp_path)


def test_a_split_is_made_by_subject(tmp_path):
    write_table(tmp_path, tagged_rows(tmp_path, subjects=20, takes=2))
    clips, description = converted(tmp_path, split={"test": 0.3, "validation": 0.2, "seed": 1})
    splits = {}
    for clip in clips:
        splits.setdefault(clip.subject, set()).add(clip.split)
    assert all(len(own) == 1 for own in splits.values())
    assert set().union(*splits.values()) == {"train", "validation", "test"}
    assert len(description.split_sha256) == 64


# --- audit


def test_clean_data_have_no_traps_and_counts_of_their_classes(tmp_path):
    rows = tagged_rows(tmp_path)
    write_table(tmp_path, rows)
    names, _, found = audited(tmp_path)
    assert names == set()
    counts = {name: sum(name in row[1].split(";") for row in rows) for name in NAMES}
    assert {name: one["clips"] for name, one in found["classes"]["label"].items()} == counts
    sizes = [len([one for one in row[1].split(";") if one]) for row in rows]
    assert found["classes_of_a_clip"] == {
        str(size): sizes.count(size) for size in sorted(set(sizes))
    }


def test_traps_of_subjects_classes_and_conditions(tmp_path):
    rows = tagged_rows(tmp_path, 10, 4, seconds=lambda cell: 0.9 if "glad" in cell else 0.3)
    for row in rows:
        # The subject decides who is sad, and one clip alone is tired.
        own = [one for one in row[1].split(";") if one not in ("", "sad")]
        row[1] = ";".join([*own, *(["sad"] if int(row[2][1:]) % 2 else [])])
    rows[0][1] = "tired"
    rows[0][2] = "s0 "
    write_table(tmp_path, rows)
    names, text, _ = audited(tmp_path, split={"folds": 5})
    assert names == {
        "class_smaller_than_folds",
        "condition_predicts_class",
        "label_constant_per_group",
        "name_in_two_spellings",
    }
    assert "The class tired is rare (number of clips: 1" in text
    assert "groups by subject that have the class sad, all clips have it" in text
    assert "Whether a recording has the class glad can be predicted better than by chance" in text
    assert "from these properties of a recording alone: seconds" in text


def test_a_class_that_all_clips_or_none_have_is_refused(tmp_path):
    rows = tagged_rows(tmp_path)
    for row in rows:
        row[1] = ";".join(dict.fromkeys(["calm", *filter(None, row[1].split(";"))]))
    write_table(tmp_path, rows)
    with pytest.raises(UserError, match="all clips have the class calm") as caught:
        audited(tmp_path, classes=[*NAMES, "merry"])
    assert "no clip has the class merry" in str(caught.value)


# --- items


def items_of(root, unit="clip"):
    outputs = outputs_in(root)
    clips = usable_clips(outputs.records, root / "measures.jsonl")
    ids = tuple(clip.id for clip in clips)
    vectors = np.zeros((len(ids), 1, 2, 3), dtype=np.float32)
    subjects = tuple(clip.subject for clip in clips)
    facts = {"encoder": {"kind": "logmel"}}
    embeddings = Embeddings(ids, subjects, ids, ("last",), vectors, facts)
    description = read_description(outputs.description)
    measures = root / "measures.jsonl"
    return make_items(outputs.records, measures, embeddings, description, "label", unit)


def test_items_have_their_label_sets(tmp_path):
    rows = tagged_rows(tmp_path)
    write_table(tmp_path, rows)
    audited(tmp_path)
    found = items_of(tmp_path)
    expected = {row[0]: [name in row[1].split(";") for name in NAMES] for row in rows}
    assert found.target.labels.tolist() == [expected[name] for name in found.ids]
    with pytest.raises(UserError, match=r"several labels .* set unit to clip"):
        items_of(tmp_path, "subject")


@pytest.mark.parametrize("classes", [["sad", "calm"], ["merry"], ["calm", "calm"]])
def test_records_with_other_classes_are_refused(tmp_path, classes):
    write_table(tmp_path, tagged_rows(tmp_path))
    audited(tmp_path)
    records = outputs_in(tmp_path).records
    rows = list(read_jsonl(records))
    rows[2]["classes"] = classes
    write_jsonl(records, rows, sealed=True)
    with pytest.raises(DataError, match=f"the clip {rows[2]['id']} has other classes"):
        items_of(tmp_path)


# --- configuration


def checked(tmp_path, entry, **run):
    own = {"path": str(tmp_path), "layout": "audio_folder", **entry}
    block = {"like": "eatd_3emo_logmel", "task": "label", "data": "mine", **run}
    extra = {"datasets": {"mine": own}, "audio": {"runs": {"mine": block}}}
    validate_config(merge(load_config(PROJECT), extra), PROJECT)


@pytest.mark.parametrize("label", ["moods", NAMES])
def test_several_classes_need_the_corrected_protocol(tmp_path, label):
    entry = {"target": "classes", "columns": {"label": label}}
    checked(tmp_path, entry)
    published = {"like": "eatd_3emo_clap_published"}
    with pytest.raises(ConfigError, match=r"mine\.protocol: the target of 'mine' is several class"):
        checked(tmp_path, entry, **published)


@pytest.mark.parametrize(("layout", "table", "file"), LAYOUTS)
def test_a_configuration_is_proposed_for_cells_that_list_classes(tmp_path, layout, table, file):
    rows = tagged_rows(tmp_path)
    write_table(tmp_path, rows, table, (file, "moods", "speaker"))
    found = overlay(tmp_path / "raw")
    assert (found.entry["target"], found.entry["classes"]) == ("classes", NAMES)
    assert found.entry["columns"] == {"label": "moods", "subject": "speaker"}
    text = yaml.safe_load(as_yaml(found, "mine", tmp_path / "raw"))
    validate_config(merge(load_config(PROJECT), text), PROJECT)


@pytest.mark.parametrize(("layout", "table", "file"), LAYOUTS)
def test_a_configuration_is_proposed_for_columns_of_0_and_1(tmp_path, layout, table, file):
    rows = indicators(tagged_rows(tmp_path))
    write_table(tmp_path, rows, table, (file, "sad", "calm", "glad", "subject"))
    found = overlay(tmp_path / "raw")
    assert found.entry["target"] == "classes"
    assert found.entry["columns"]["label"] == ["sad", "calm", "glad"]
    text = yaml.safe_load(as_yaml(found, "mine", tmp_path / "raw"))
    validate_config(merge(load_config(PROJECT), text), PROJECT)


# --- the stored probe


FACTS = {
    "classes": NAMES,
    "class_thresholds": {"sad": 0.9, "calm": 0.5, "glad": 0.2},
    "encoder": {"kind": "logmel"},
    "statistics": ["mean"],
    "task": "label",
    "unit": "clip",
    "view": "logmel",
    "warning": "none",
}


def stored(folder, **changes):
    """A probe whose probabilities are 0.5, 0.27 and 0.73, whatever it hears."""
    mean, scale = np.zeros(80, np.float32), np.ones(80, np.float32)
    layer = np.zeros((80, 3), np.float32), np.array([0, -1, 1], np.float32)
    facts = {key: value for key, value in {**FACTS, **changes}.items() if value is not None}
    save(ProbeModel(mean, scale, [layer], facts), folder)
    return folder


def test_a_probe_of_several_classes_decides_by_its_thresholds(tmp_path, capsys):
    folder = stored(tmp_path / "model")
    soundfile.write(tmp_path / "a.wav", sound(0), RATE)
    found = AudioMultilabelProbe.from_directory(folder).predict(tmp_path / "a.wav")
    assert found.labels == ("calm", "glad")
    assert list(found.probabilities.values()) == pytest.approx(
        [0.5, 1 / (1 + np.e), np.e / (1 + np.e)]
    )
    assert found.to_dict()["thresholds"] == FACTS["class_thresholds"]
    with pytest.raises(
        UserError, match="expected a probe of classes, found one of several classes"
    ):
        AudioProbe.from_directory(folder)
    assert cli.main(["predict", "audio", "--model", str(folder), str(tmp_path / "a.wav")]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["labels"] == ["calm", "glad"]
    assert line["probabilities"]["sad"] == pytest.approx(0.731059)
    assert "label" not in line


@pytest.mark.parametrize(
    "thresholds",
    [{"calm": 0.5}, {"calm": 0.5, "glad": 2, "sad": 0.5}, [0.5, 0.5, 0.5], "half"],
)
def test_broken_thresholds_of_a_probe_are_refused(tmp_path, thresholds):
    folder = stored(tmp_path / "model", class_thresholds=thresholds)
    with pytest.raises(DataError, match="class_thresholds: expected a number from 0 to 1"):
        load(folder)
