"""Names that differ in case, white space or Unicode form: refused, or merged by a setting."""

import json
import unicodedata

import pytest
from emotion_tables import converted, data_in, data_of

from affectlab.audio import convert as audio
from affectlab.audio.data import read_clips
from affectlab.datasets.names import Ids, Spellings, name_key
from affectlab.datasets.texts import normalise_text
from affectlab.emotion import audit as emotion_audit
from affectlab.emotion import data as emotion
from affectlab.entity import convert as entity
from affectlab.entity.data import read_records as read_entity_records
from affectlab.entity.labels import GOEMOTIONS_CLASSES
from affectlab.entity.settings import Split as EntitySplit
from affectlab.errors import DataError
from affectlab.face import convert as face
from affectlab.face.data import read_faces
from affectlab.face.raw import read_raw
from affectlab.face.votes import TAGS
from affectlab.samples import summary as summary_sample
from affectlab.samples.face import write_corpus
from affectlab.summary import cases
from affectlab.summary.convert import Outputs
from affectlab.summary.convert import convert as convert_cases
from affectlab.summary.settings import Split

COMPOSED = unicodedata.normalize("NFC", "Jos\u00e9")
DECOMPOSED = unicodedata.normalize("NFD", "Jos\u00e9")

SAME = [
    ("P03", "p03"),
    ("P03", " P03"),
    ("P 03", "P03"),
    ("P\u00a003", "P 03"),
    ("P\u200303", "P03"),
    ("P03", "P03\u200b"),
    ("P03", "\ufeffP03"),
    ("P03", "\uff30\uff10\uff13"),
    (COMPOSED, DECOMPOSED),
    ("Strasse", "Stra\u00dfe"),
    ("\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2", "\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3"),
    ("P-03", "P\u201103"),
    ("P-03", "P\u201303"),
    ("O'Neil", "O\u2019Neil"),
    ("file", "\ufb01le"),
]

OTHER = [("P03", "P3"), ("P03", "P30"), ("Jose", COMPOSED), ("a-b", "ab"), ("P_03", "P03")]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_spellings_of_one_name_have_one_key(one, two):
    assert one != two
    assert name_key(one) == name_key(two)
    names = Spellings("subject")
    names.add(one, "line 2")
    names.add(two, "line 7")
    with pytest.raises(DataError) as caught:
        names.check("manifest.csv", "refuse")
    assert "line 2" in str(caught.value)
    assert "line 7" in str(caught.value)
    assert repr(one) in str(caught.value)
    assert "similar_names: merge" in str(caught.value)
    names.check("manifest.csv", "merge")
    assert names.merged(two) == one


@pytest.mark.parametrize(("one", "two"), OTHER)
def test_other_names_have_other_keys(one, two):
    assert name_key(one) != name_key(two)


def test_the_commonest_spelling_is_kept_and_every_pair_counted():
    names = Spellings("subject")
    for place, name in enumerate(
        ["p1", "P1", "P1", *(f"{c}{n}" for n in range(2, 9) for c in "qQ")]
    ):
        names.add(name, f"line {place}")
    assert names.merged("p1") == "P1"
    assert len(names.clashes()) == 8
    with pytest.raises(DataError, match="and 3 more"):
        names.check("x", "refuse")


def test_ids_are_never_merged():
    ids = Ids("merge")
    assert ids.add("aB", "line 1") is None
    assert ids.add("ab", "line 2") is None
    assert ids.add("ab", "line 3").is_exact
    with pytest.raises(ValueError, match="similar_names"):
        Ids("keep")


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_texts_in_other_unicode_forms_read_the_same(form):
    text = "I feel \ufb01ne, Jos\u00e9\u00a0\u2026 \uff2f\uff2b"
    assert normalise_text(unicodedata.normalize(form, text)) == normalise_text(text)
    assert normalise_text("I\u200b FEEL\u2003fine") == "i feel fine"


# --- audio


def manifest(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    for clip, *_ in rows:
        (folder / clip).parent.mkdir(parents=True, exist_ok=True)
        (folder / clip).touch()
    lines = [",".join(row) for row in rows]
    (folder / "manifest.csv").write_text("clip,subject,label\n" + "\n".join(lines) + "\n")
    return folder


def convert_audio(tmp_path, layout="audio_manifest", **options):
    outputs = audio.Outputs(*(tmp_path / name for name in ("r.jsonl", "q.jsonl", "d.json")))
    audio.convert(tmp_path / "raw", outputs, {"layout": layout}, "fail", **options)
    return read_clips(tmp_path / "r.jsonl")


@pytest.mark.parametrize(("one", "two"), SAME)
def test_a_subject_spelled_in_two_ways_is_refused_or_merged(tmp_path, one, two):
    rows = [("a.wav", one, "x"), ("b.wav", two, "y"), ("c.wav", one, "y"), ("d.wav", "s", "x")]
    manifest(tmp_path / "raw", rows)
    if one.strip() == two.strip():  # white space around a cell is none of its own
        assert len({clip.subject for clip in convert_audio(tmp_path)}) == 2
        return
    with pytest.raises(DataError, match=r"a subject .* line 2.* line 3"):
        convert_audio(tmp_path)
    assert not (tmp_path / "r.jsonl").exists()
    merged = convert_audio(tmp_path, similar_names="merge")
    assert {clip.subject for clip in merged} == {one.strip(), "s"}


def test_a_label_spelled_in_two_ways_is_refused_or_merged(tmp_path):
    rows = [("a.wav", "s", "Angry"), ("b.wav", "s", "angry"), ("c.wav", "t", "angry")]
    rows.append(("d.wav", "t", "calm"))
    manifest(tmp_path / "raw", rows)
    with pytest.raises(DataError, match=r"a label is spelled .*'Angry'.*'angry'"):
        convert_audio(tmp_path)
    merged = convert_audio(tmp_path, similar_names="merge")
    assert {clip.labels["label"] for clip in merged} == {"angry", "calm"}


def test_clips_spelled_in_two_ways_are_refused_or_kept_apart(tmp_path):
    manifest(tmp_path / "raw", [("a/P1.wav", "s", "x"), ("a/p1.wav", "t", "y")])
    with pytest.raises(DataError, match=r"line 3: the id 'a/p1\.wav' differs from 'a/P1\.wav'"):
        convert_audio(tmp_path)
    assert len(convert_audio(tmp_path, similar_names="merge")) == 2


def test_folders_of_one_volunteer_in_two_cases_are_refused(tmp_path):
    for folder in ("t_1", "T_1", "v_2"):
        (tmp_path / "raw" / folder).mkdir(parents=True)
        (tmp_path / "raw" / folder / "new_label.txt").write_text("60")
        for prompt in ("negative", "neutral", "positive"):
            (tmp_path / "raw" / folder / f"{prompt}_out.wav").touch()
            (tmp_path / "raw" / folder / f"{prompt}.txt").write_text("x")
    with pytest.raises(DataError, match="the id 't_1_negative' was already used"):
        convert_audio(tmp_path, layout="eatd")


# --- texts


def emotion_jsonl(folder, train):
    folder.mkdir(exist_ok=True)
    rest = [{"text": f"{name} text", "label": name} for name in emotion.CLASSES]
    for split, rows in (("train", rest + train), ("validation", rest), ("test", rest)):
        own = [{**row, "text": f"{row['text']} {split}"} for row in rows]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    return folder


def convert_emotion(tmp_path, **options):
    converted(tmp_path / "raw", tmp_path, **options)
    return data_in(tmp_path).records


@pytest.mark.parametrize("label", ["Joy", "joy ", "j\u200boy", "\uff4aoy"])
def test_a_class_of_texts_spelled_in_another_way(tmp_path, label):
    emotion_jsonl(tmp_path / "raw", [{"text": "one", "label": label}])
    with pytest.raises(DataError, match="line 7: unknown label"):
        convert_emotion(tmp_path)
    records = convert_emotion(tmp_path, similar_names="merge")
    assert [record.label for record in records if record.text == "one train"] == ["joy"]


def test_ids_of_texts_spelled_in_two_ways(tmp_path):
    rows = [{"text": name, "label": "joy", "id": name} for name in ("X1", "x1")]
    emotion_jsonl(tmp_path / "raw", rows)
    with pytest.raises(DataError, match=r"line 8: the id 'x1' differs from 'X1' in line 7"):
        convert_emotion(tmp_path)
    assert len(convert_emotion(tmp_path, similar_names="merge")) == 20


def test_a_text_in_another_unicode_form_counts_as_overlap():
    def record(number, split, text):
        return emotion.Record(f"{split}-{number}", text, emotion.CLASSES[number % 6], split)

    words = ("caf\u00e9 one", "two", "three", "four", "five", "six")
    records = [
        record(number, split, f"{word} of {split}")
        for split in emotion.SPLITS
        for number, word in enumerate(words)
    ]
    twin = unicodedata.normalize("NFD", "caf\u00e9 one of train")
    found = emotion_audit.audit(data_of([*records, record(6, "test", twin)]))
    assert found["overlap"]["test_in_train"] == ["test-6"]


def test_texts_of_spans_in_other_unicode_forms_stay_in_one_split(tmp_path):
    line = {"soft_label": [0.0] * 27 + [1.0], "intensity": 1.0}
    (tmp_path / "raw").mkdir()
    with (tmp_path / "raw" / "spans.jsonl").open("w") as stream:
        for number in range(40):
            text = f"caf\u00e9 number{chr(97 + number % 26) * (1 + number // 26)}"
            for form in ("NFC", "NFD"):
                own = unicodedata.normalize(form, text)
                target = {"span_text": own[:3], "char_start": 0, "char_end": 3, **line}
                stream.write(json.dumps({"text": own, "targets": [target]}) + "\n")
    entity.convert(
        tmp_path / "raw", tmp_path / "r", tmp_path / "q", tmp_path / "d",
        entry={"layout": "entity_spans"}, on_bad_record="fail",
        split=EntitySplit(validation=0.2, test=0.2),
    )  # fmt: skip
    records = read_entity_records(tmp_path / "r", GOEMOTIONS_CLASSES)
    splits = {}
    for record in records:
        splits.setdefault(unicodedata.normalize("NFC", record.text), set()).add(record.split)
    assert {len(own) for own in splits.values()} == {1}


def test_class_names_of_comments_spelled_in_another_way(tmp_path):
    (tmp_path / "raw").mkdir()
    for file in ("train.tsv", "dev.tsv", "test.tsv"):
        (tmp_path / "raw" / file).write_text(f"a comment of {file}\t0\tx1\n")
    names = [name.capitalize() for name in GOEMOTIONS_CLASSES]
    (tmp_path / "raw" / "emotions.txt").write_text("\n".join(names))
    options = {"entry": {"layout": "goemotions"}, "on_bad_record": "fail", "split": None}
    paths = (tmp_path / "raw", tmp_path / "r", tmp_path / "q", tmp_path / "d")
    with pytest.raises(DataError, match=r"emotions\.txt: expected the 28 classes"):
        entity.convert(*paths, **options)
    entity.convert(*paths, similar_names="merge", **options)
    assert len(read_entity_records(tmp_path / "r", GOEMOTIONS_CLASSES)) == 3


def test_ids_of_cases_spelled_in_two_ways(tmp_path):
    summary_sample.write_longemotion(tmp_path / "raw", cases=12)
    [path] = (tmp_path / "raw").glob("*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["id"], rows[1]["id"] = "Case 7", "case\u00a07"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    split = Split(folds=3)
    outputs = Outputs(tmp_path / "r", tmp_path / "q", tmp_path / "d")
    paths = (tmp_path / "raw", outputs, {"layout": "longemotion"})
    with pytest.raises(DataError, match=r"line 2: the id .*xa07.* differs from 'Case 7' in line 1"):
        convert_cases(*paths, split=split)
    convert_cases(*paths, split=split, similar_names="merge")
    assert len(cases.read_cases(tmp_path / "r")) == 12


# --- faces


def faces(tmp_path):
    write_corpus(tmp_path / "raw", layout="folder", counts={"Training": 30, "PublicTest": 10})
    return tmp_path / "raw"


def test_folders_of_one_class_spelled_in_two_ways_are_refused_or_merged(tmp_path):
    raw = faces(tmp_path)
    before = {item.image_path: item.emotion for item in read_raw(raw)}
    (raw / "test" / "happy").rename(raw / "test" / "Happy")
    with pytest.raises(DataError, match=r"a class is spelled .*'Happy'.*'happy'"):
        list(read_raw(raw))
    after = {item.image_path: item.emotion for item in read_raw(raw, similar_names="merge")}
    assert sorted(after.values()) == sorted(before.values())


def test_names_of_images_spelled_in_two_ways_are_refused_or_kept_apart(tmp_path):
    raw = faces(tmp_path)
    first = next((raw / "train" / "happy").iterdir())
    first.with_name(first.name.upper()).write_bytes(first.read_bytes())
    with pytest.raises(DataError, match="in case, white space or Unicode form only"):
        list(read_raw(raw))
    assert len(list(read_raw(raw, similar_names="merge"))) == 41


def test_a_row_of_votes_for_an_image_spelled_in_another_way(tmp_path):
    raw, votes = faces(tmp_path), tmp_path / "votes"
    votes.mkdir()
    images = [item.image_path for item in read_raw(raw)]
    header = f"Usage,Image name,{','.join(TAGS)}"
    rows = [f"Training,fer{place:07d}.png,10,0,0,0,0,0,0,0,0,0" for place in range(40)]
    (votes / "fer2013new.csv").write_text("\n".join([header, *rows]) + "\n")
    lines = [f"{name},fer{place:07d}.png,1" for place, name in enumerate(images)]
    lines[0] = lines[0].replace("train/", "Train/").replace("test/", "Test/")
    columns = "image_path,ferplus_image,n_identical_candidates"
    (votes / "mapping.csv").write_text("\n".join([columns, *lines]) + "\n")

    def convert(**options):
        names = ("faces.npy", "metadata.csv", "quarantine.jsonl", "description.json")
        paths = {f"{name.partition('.')[0]}_path": tmp_path / name for name in names}
        entry = {"layout": "fer2013"}
        face.convert(raw_directory=raw, votes_directory=votes, entry=entry, **paths, **options)
        return read_faces(paths["faces_path"], paths["metadata_path"])

    with pytest.raises(DataError, match=r"no row for .* is spelled otherwise"):
        convert()
    assert set(convert(similar_names="merge").votes_status) == {"own"}
    rows[1] = rows[1].replace("fer0000001", "FER0000000")
    (votes / "fer2013new.csv").write_text("\n".join([header, *rows]) + "\n")
    with pytest.raises(
        DataError, match=r"fer2013new\.csv, line 3: the id 'FER0000000\.png' differs"
    ):
        convert()
