"""Recordings inside of a user's own tables: written as files into the run directory."""

import subprocess
import sys

import datasets
import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet

from affectlab import cli
from affectlab.assets.fetch import fetch_dataset
from affectlab.assets.manifest import manifest_directory
from affectlab.assets.status import fetched_part
from affectlab.audio.convert import Outputs, convert
from affectlab.audio.data import read_clips
from affectlab.config.registries import stated
from affectlab.errors import DataError, FetchError

CLASSES = ("calm", "keen", "sad")
FEATURES = datasets.Features(
    {
        "audio": datasets.Audio(),
        "label": datasets.ClassLabel(names=list(CLASSES)),
        "subject": datasets.Value("string"),
    }
)


def rows_of(count):
    """Rows whose recordings are bytes of no format; nothing decodes them here."""
    return [
        {
            "audio": {"bytes": b"RIFF" + bytes([number]) * 40, "path": f"../take{number}.wav"},
            "label": number % 3,
            "subject": f"S{number // 3:02d}",
        }
        for number in range(count)
    ]


def named(rows):
    return [row | {"label": CLASSES[row["label"]]} for row in rows]


def parquet_of_the_package(folder, rows):
    parquet.write_table(pa.Table.from_pylist(rows, FEATURES.arrow_schema), folder / "mine.parquet")
    return folder / "mine.parquet"


def parquet_of_another(folder, rows):
    parquet.write_table(pa.Table.from_pylist(named(rows)), folder / "mine.parquet")
    return folder / "mine.parquet"


def parquet_of_bytes(folder, rows):
    plain = [row | {"audio": row["audio"]["bytes"]} for row in named(rows)]
    parquet.write_table(pa.Table.from_pylist(plain), folder / "mine.parquet")
    return folder


def arrow(folder, rows):
    table = pa.Table.from_pylist(named(rows))
    with (
        pa.OSFile(str(folder / "mine.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as writer,
    ):
        writer.write_table(table)
    return folder


def saved(folder, rows):
    found = datasets.Dataset(pa.Table.from_pylist(rows, FEATURES.arrow_schema))
    found.save_to_disk(str(folder / "saved"))
    return folder / "saved"


KINDS = (parquet_of_the_package, parquet_of_another, parquet_of_bytes, arrow, saved)


def fetched(folder, path, layout="audio_folder"):
    """The raw folder that a run makes of the data at *path*."""
    manifest = folder / "raw" / "manifest.json"
    manifest.parent.mkdir(exist_ok=True)
    entry = stated("mine", {"path": str(path), "layout": layout})
    # As the rule has it.
    fetch_dataset("mine", fetched_part(entry), manifest)
    return manifest_directory(manifest)


def converted(folder, raw):
    names = ("records.jsonl", "quarantine.jsonl", "description.json")
    outputs = Outputs(*(folder / name for name in names))
    convert(raw, outputs, {"layout": "audio_folder"}, "fail")
    return read_clips(outputs.records)


@pytest.mark.parametrize("store", KINDS, ids=[kind.__name__ for kind in KINDS])
def test_every_form_of_table_gives_the_same_clips(tmp_path, store):
    (tmp_path / "own").mkdir()
    rows = rows_of(9)
    raw = fetched(tmp_path, store(tmp_path / "own", rows))
    assert raw == tmp_path / "raw" / "files"
    clips = converted(tmp_path, raw)
    assert [clip.labels["label"] for clip in clips] == [row["label"] for row in named(rows)]
    assert [clip.subject for clip in clips] == [row["subject"] for row in rows]
    assert [(raw / clip.path).read_bytes() for clip in clips] == [
        row["audio"]["bytes"] for row in rows
    ]
    # A stored name may lead anywhere; only its ending is used.
    assert {path.parent.parent for path in raw.rglob("0*")} == {raw}


def test_files_tell_the_split(tmp_path):
    rows = rows_of(9)
    own = tmp_path / "own"
    own.mkdir()
    shards = ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001")
    for number, name in enumerate(shards):
        part = pa.Table.from_pylist(rows[3 * number : 3 * number + 3], FEATURES.arrow_schema)
        parquet.write_table(part, own / f"{name}.parquet")
    clips = converted(tmp_path, fetched(tmp_path, own))
    assert sorted(clip.split for clip in clips) == ["test"] * 3 + ["train"] * 6


def test_other_tables_stay_as_they_are(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    table = pa.table({"text": ["a", "b"], "label": ["x", "y"]})
    parquet.write_table(table, own / "mine.parquet")
    assert fetched(tmp_path, own) == own
    with pytest.raises(DataError, match=r"no column of recordings.*metadata\.csv"):
        converted(tmp_path, own)
    parquet_of_the_package(own, rows_of(3))
    assert fetched(tmp_path, own, layout="table") == own


def test_a_row_without_a_recording_is_named(tmp_path):
    rows = rows_of(4)
    rows[2]["audio"] = None
    path = parquet_of_the_package(tmp_path, rows)
    with pytest.raises(FetchError, match=r"mine\.parquet: the split mine: row 3 has no recording"):
        fetched(tmp_path, path)


def test_a_table_cut_off_is_reported(tmp_path):
    path = parquet_of_the_package(tmp_path, rows_of(4))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FetchError, match=r"mine\.parquet: .*audiofolder"):
        fetched(tmp_path, path)


def test_a_configuration_is_proposed_for_a_table_of_recordings(tmp_path, capsys):
    path = parquet_of_the_package(tmp_path, rows_of(18))
    assert cli.main(["init", "audio", str(path)]) == 0
    entry = yaml.safe_load(capsys.readouterr().out)["datasets"]["mine"]
    assert (entry["path"], entry["layout"]) == (str(path), "audio_folder")
    assert entry["classes"] == list(CLASSES)


def test_memory_does_not_grow_with_the_recordings(tmp_path):
    """Ten times the recordings: less than 10 % more memory, in processes of their own."""
    code = (
        "import sys; from pathlib import Path;"
        "from affectlab.assets.recordings import take_recordings;"
        "assert take_recordings(Path(sys.argv[1]), Path(sys.argv[2]));"
        "status = Path('/proc/self/status').read_text();"
        "print(status.partition('VmHWM:')[2].split()[0])"
    )
    peaks = []
    for count in (200, 2000):
        rows = [
            {"audio": {"bytes": number.to_bytes(2, "big") * 20_000, "path": "a.wav"}, "label": "x"}
            for number in range(count)
        ]
        path = tmp_path / f"rows{count}.parquet"
        # Groups of as many rows as the package writes of media.
        parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=100)
        command = [sys.executable, "-c", code, path, tmp_path / f"out{count}"]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True).stdout))
    assert peaks[1] < 1.1 * peaks[0]
