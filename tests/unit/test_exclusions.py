"""Items and groups that are left out because somebody withdrew."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from own_images import ENTRY as IMAGES
from own_images import with_table
from own_spans import rows_of as spans_of
from own_spans import write as write_lines
from own_texts import rows_of, write_csv
from test_own_audio import write_folder, write_table

from affectlab.audio.audit import write_audit
from affectlab.audio.convert import Outputs as AudioOutputs
from affectlab.audio.convert import convert as convert_audio
from affectlab.config.load import load_config, merge
from affectlab.datasets.description import Description, read_description
from affectlab.datasets.exclusions import (
    Exclusion,
    excluded_part,
    listed_digests,
    read_exclusion,
    taken_exclusions,
)
from affectlab.emotion.convert import Outputs as EmotionOutputs
from affectlab.emotion.convert import convert as convert_emotion
from affectlab.entity.convert import convert as convert_entity
from affectlab.entity.settings import Split as EntitySplit
from affectlab.errors import ConfigError, DataError
from affectlab.experiments import validate_config
from affectlab.face.convert import convert as convert_face
from affectlab.files.io import read_json, read_jsonl
from affectlab.report.data_notes import data_notes
from affectlab.samples.audio import write_corpus as write_eatd
from affectlab.samples.audio import write_emodb
from affectlab.samples.emotion import write_corpus as write_emotion
from affectlab.samples.entity import write_goemotions, write_spans
from affectlab.samples.face import write_corpus as write_faces
from affectlab.samples.face import write_votes
from affectlab.samples.summary import write_longemotion, write_psyqa
from affectlab.summary.convert import Outputs as SummaryOutputs
from affectlab.summary.convert import convert as convert_summary
from affectlab.summary.settings import Split as SummarySplit

PROJECT = Path(__file__).parents[2]
NAMES = ("records.jsonl", "quarantine.jsonl", "description.json")
TEXTS = {"layout": "table", "columns": {"text": "tweet", "label": "emo", "group": "who"}}
SPANS = {"layout": "spans", "columns": {"group": "author"}}
CASES = {"layout": "cases", "columns": {"group": "client"}}
FEW = {"Training": 120, "PublicTest": 40, "PrivateTest": 40}
CLIPS = {"layout": "audio_folder"}


def read(name, out, entry, exclusion):
    """Convert ``raw`` by the experiment *name*; (id, group) of the records."""
    raw, paths = out.parent / "raw", [out / file for file in NAMES]
    if name == "emotion":
        convert_emotion(raw, EmotionOutputs(*paths), entry, "skip", exclusion=exclusion)
    elif name == "entity":
        split = EntitySplit() if entry["layout"] == "entity_spans" else None
        convert_entity(
            raw, *paths, entry=entry, on_bad_record="skip", split=split, exclusion=exclusion
        )
    elif name == "summary":
        split = SummarySplit(validation=0.2)
        outputs = SummaryOutputs(*paths)
        convert_summary(raw, outputs, entry, split=split, on_bad_record="skip", exclusion=exclusion)
    else:
        convert_audio(raw, AudioOutputs(*paths), entry, "skip", exclusion=exclusion)
    rows = read_jsonl(paths[0])
    # A group of cases is called as its first one.
    key = "subject" if name in ("summary", "audio") else "group"
    return [(row["id"], row.get(key)) for row in rows]


def read_faces(out, entry, exclusion):
    convert_face(
        raw_directory=out.parent / "raw",
        votes_directory=out.parent / "votes" if entry["layout"] == "fer2013" else None,
        faces_path=out / "faces.npy",
        metadata_path=out / "metadata.csv",
        quarantine_path=out / "quarantine.jsonl",
        description_path=out / "description.json",
        entry=entry,
        on_bad_record="skip",
        exclusion=exclusion,
    )
    with (out / "metadata.csv").open() as stream:
        return [(row["image_path"], row.get("group")) for row in csv.DictReader(stream)]


def cases_of(number):
    return [
        {
            "id": f"c{n}",
            "text": f"On day {n} the client of table {n % 7} said that the night had been long.",
            "summary": f"The client slept badly before day {n}.",
            "client": f"K{n % 8}",
        }
        for n in range(number)
    ]


def one_span_rows():
    return [
        {"text": row["text"], "author": row["author"], **span}
        for row in spans_of(60)
        for span in row["spans"]
    ]


SOURCES = {
    "own texts": ("emotion", TEXTS, lambda raw: write_csv(raw, rows_of(96))),
    "own spans": ("entity", SPANS, lambda raw: write_lines(raw / "a.jsonl", spans_of(60))),
    "a span a row": ("entity", SPANS, lambda raw: write_lines(raw / "a.jsonl", one_span_rows())),
    "own cases": ("summary", CASES, lambda raw: write_lines(raw / "a.jsonl", cases_of(48))),
    "own clips": ("audio", CLIPS, lambda raw: write_table(raw, write_folder(raw))),
    "own images": ("face", IMAGES, with_table),
    "Emotion": (
        "emotion",
        {"layout": "emotion_text"},
        lambda raw: write_emotion(raw, train=240, validation=60, test=60),
    ),
    "span corpus": ("entity", {"layout": "entity_spans"}, write_spans),
    "GoEmotions": (
        "entity",
        {"layout": "goemotions"},
        lambda raw: write_goemotions(raw, train=300),
    ),
    "LongEmotion": ("summary", {"layout": "longemotion"}, write_longemotion),
    "PsyQA": ("summary", {"layout": "psyqa"}, write_psyqa),
    "EATD": ("audio", {"layout": "eatd"}, lambda raw: write_eatd(raw, subjects=6)),
    "EMO-DB": ("audio", {"layout": "emodb"}, write_emodb),
    "FER2013": ("face", {"layout": "fer2013"}, lambda raw: write_faces(raw, counts=FEW)),
    "folders": (
        "face",
        {"layout": "fer2013"},
        lambda raw: write_faces(raw, layout="folder", counts=FEW),
    ),
}


def written(folder, source):
    """Write the raw data; experiment and entry."""
    name, entry, write = SOURCES[source]
    (folder / "raw").mkdir()
    write(folder / "raw")
    if entry["layout"] == "fer2013":
        write_votes(folder / "votes", counts=FEW)
    if source == "folders":
        # Which votes are whose is told by the pixels.
        write_faces(folder / "table", counts=FEW)
        (folder / "table" / "fer2013.csv").rename(folder / "votes" / "fer2013.csv")
    return name, entry


def converted(name, out, entry, exclusion=None):
    out.mkdir()
    if name == "face":
        return read_faces(out, entry, exclusion)
    return read(name, out, entry, exclusion)


def excluding(**names):
    return read_exclusion(listed_digests(names), None)


@pytest.mark.parametrize("source", SOURCES)
def test_items_and_groups_are_left_out_all_others_stay_and_unknown_names_stop(tmp_path, source):
    name, entry = written(tmp_path, source)
    whole = converted(name, tmp_path / "whole", entry)
    assert read_json(tmp_path / "whole" / "description.json")["excluded_items"] == 0
    first, (_, group) = whole[0][0], whole[-1]
    # As somebody else writes the name.
    names = {"items": [first]} | ({"groups": [f" {group.upper()} "]} if group else {})
    found = converted(name, tmp_path / "rest", entry, excluding(**names))
    expected = [(own, of) for own, of in whole if own != first and (of != group or not group)]
    assert sorted(found) == sorted(expected)
    description = read_json(tmp_path / "rest" / "description.json")
    counts = description["excluded_items"], description["excluded_groups"]
    assert counts == (len(whole) - len(expected), bool(group))
    with pytest.raises(DataError) as caught:
        converted(name, tmp_path / "none", entry, excluding(items=[first, "Mona"], groups=["Lee"]))
    assert "2 of 3 names are not in the data (items, name 2; groups, name 1)" in str(caught.value)
    # Numbers alone are in any message.
    names = {first, "Mona", "Lee"} - {str(number) for number in range(9)}
    assert not any(shown in str(caught.value) for shown in names)
    assert not any((tmp_path / "none" / file).exists() for file in NAMES)


def test_the_arrays_of_faces_lose_the_images(tmp_path):
    rows = with_table(tmp_path / "raw")
    converted("face", tmp_path / "whole", IMAGES)
    converted("face", tmp_path / "rest", IMAGES, excluding(items=[rows[3]["file_name"]]))
    whole, rest = (np.load(tmp_path / name / "faces.npy") for name in ("whole", "rest"))
    np.testing.assert_array_equal(np.delete(whole, 3, axis=0), rest)


def test_a_bad_row_of_somebody_who_withdrew_is_not_set_aside(tmp_path):
    rows = rows_of(96)
    rows[5] |= {"who": "zoe", "emo": ""}
    rows[9] |= {"who": "ann", "tweet": ""}
    write_csv(tmp_path / "raw", rows)
    converted("emotion", tmp_path / "whole", TEXTS)
    assert len(list(read_jsonl(tmp_path / "whole" / "quarantine.jsonl"))) == 2
    converted("emotion", tmp_path / "rest", TEXTS, excluding(groups=["zoe"], items=["00010"]))
    assert list(read_jsonl(tmp_path / "rest" / "quarantine.jsonl")) == []


def test_a_missing_recording_of_somebody_who_withdrew_is_not_set_aside(tmp_path):
    rows = write_folder(tmp_path / "raw")
    (tmp_path / "raw" / rows[0][0]).unlink()
    write_table(tmp_path / "raw", rows)
    converted("audio", tmp_path / "whole", CLIPS)
    assert len(list(read_jsonl(tmp_path / "whole" / "quarantine.jsonl"))) == 1
    for number, names in enumerate(({"groups": [rows[0][2]]}, {"items": [rows[0][0]]})):
        converted("audio", tmp_path / f"rest{number}", CLIPS, excluding(**names))
        assert list(read_jsonl(tmp_path / f"rest{number}" / "quarantine.jsonl")) == []


def test_the_audit_does_not_name_recordings_that_were_left_out(tmp_path):
    rows = write_folder(tmp_path / "raw")
    write_table(tmp_path / "raw", rows)
    out = tmp_path / "rest"
    converted("audio", out, CLIPS, excluding(groups=[rows[0][2]], items=[rows[-1][0]]))
    write_audit(
        records_path=out / "records.jsonl",
        quarantine_path=out / "quarantine.jsonl",
        description_path=out / "description.json",
        raw_directory=tmp_path / "raw",
        audit_path=out / "audit.json",
        measures_path=out / "measures.jsonl",
        expected={},
        on_bad_record="fail",
        threads=1,
    )
    assert read_json(out / "audit.json")["unused_recordings"] == {"count": 0, "first": []}
    text = (out / "audit.json").read_text()
    gone = [row[0] for row in rows if row[2] == rows[0][2]] + [rows[-1][0]]
    assert not any(name in text for name in gone)
    note = data_notes({"voices": json.loads(text)}, [])["voices"]
    assert (
        f"voices: {len(gone)} items were left out because somebody withdrew, with 1 whole group."
    ) in note.sentences


def test_a_list_is_read_from_a_file(tmp_path):
    path = tmp_path / "withdrawn.txt"
    path.write_text("item: a:1\n\ngroup:  Zoë \n", encoding="utf-8")
    exclusion = read_exclusion({}, path)
    owners = [("a:1", None), ("a:2", "b"), ("a:3", "ZOE\u0308"), ("A:1", "")]
    assert [exclusion.drops(owner) for owner in owners] == [True, False, True, False]
    found = exclusion.described(Description(("a", "b")), tmp_path)
    assert excluded_part(found) == {"excluded": {"items": 2, "groups": 1}}


@pytest.mark.parametrize("line", ["a1", "subject: a1", "item:", ": a1"])
def test_a_line_of_another_form_is_an_error_with_its_place(tmp_path, line):
    path = tmp_path / "withdrawn.txt"
    path.write_text(f"item: a\n{line}\n")
    with pytest.raises(DataError, match=r"withdrawn\.txt, line 2: expected item: <id> or group"):
        read_exclusion({}, path)


def test_unknown_names_of_a_file_have_their_line(tmp_path):
    path = tmp_path / "withdrawn.txt"
    path.write_text("item: a\ngroup: b\n")
    exclusion = read_exclusion({}, path)
    exclusion.drops(("a", None))
    with pytest.raises(DataError, match=r"1 of 2 names .* \(withdrawn\.txt, line 2\)"):
        exclusion.described(Description(("a", "b")), tmp_path)


def test_an_item_of_several_rows_is_left_out_by_any_of_their_ids():
    exclusion = excluding(items=["2"])
    assert exclusion.drops(("1", None), ("2", None))
    assert not exclusion.drops(("3", None))
    assert not Exclusion().drops(("2", None))


OWN = {
    "datasets": {
        "mine": {
            "path": "mine.csv",
            "layout": "table",
            "exclude": {"items": ["Mona"], "groups": ["Lee", "Kim"], "file": "gone.txt"},
        },
        # A shipped one needs no more.
        "emotion": {"exclude": {"items": ["train-00003"]}},
    }
}


def test_what_is_stored_of_a_configuration_holds_no_names():
    shipped = load_config(PROJECT)
    complete, registries = validate_config(merge(shipped, OWN), PROJECT)
    taken, stored = taken_exclusions(complete, registries.datasets)
    assert taken["mine"]["file"] == "gone.txt"
    assert [len(taken["mine"]["digests"][key]) for key in ("items", "groups")] == [1, 2]
    assert set(taken) == {"mine", "emotion"}
    for name in ("Mona", "Lee", "Kim", "train-00003"):
        assert name not in f"{taken} {stored} {registries}"
    plain = validate_config(shipped, PROJECT)[1].datasets["emotion"]
    assert registries.datasets["emotion"] == plain
    # Who uses it again is stopped, instead of taking the items in.
    with pytest.raises(ConfigError, match=r"datasets\.mine\.exclude\.groups: .* names nobody"):
        validate_config(stored, PROJECT)
    # Their own list after it has the names again.
    again, registries = validate_config(merge(stored, OWN), PROJECT)
    assert taken_exclusions(again, registries.datasets)[0] == taken


def test_a_mistake_in_the_entry_is_found():
    wrong = {"datasets": {"emotion": {"exclude": {"item": ["a"]}}}}
    with pytest.raises(ConfigError, match=r"datasets\.emotion\.exclude\.item"):
        validate_config(merge(load_config(PROJECT), wrong), PROJECT)


def test_descriptions_of_earlier_versions_are_read(tmp_path):
    (tmp_path / "d.json").write_text('{"classes": ["a", "b"]}')
    assert read_description(tmp_path / "d.json").excluded_items == 0
