"""What a killed process leaves on the disk, and what becomes of it."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from affectlab.assets.status import asset_status, format_table, manifest_path, preflight
from affectlab.errors import UserError
from affectlab.files.io import atomic_path, read_json, write_json, write_text

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
SAMPLE = {"sources": [{"kind": "sample", "generator": "emotion"}], "access": "open"}


def half_written(path):
    """A process that is in the midst of writing *path*."""
    program = f"""
        import sys, time
        from affectlab.files.io import atomic_path
        with atomic_path({str(path)!r}) as temporary:
            temporary.write_text("half")
            print("writing", flush=True)
            time.sleep(600)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
    )
    assert child.stdout.readline() == b"writing\n"
    return child


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path):
    path = tmp_path / "export" / "model.onnx"
    child = half_written(path)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert len(list(path.parent.iterdir())) == 1
    write_text(path, "whole")
    assert [left.name for left in path.parent.iterdir()] == ["model.onnx"]


def test_what_a_living_process_writes_stays(tmp_path):
    path = tmp_path / "model.onnx"
    child = half_written(path)
    try:
        write_text(path, "whole")
        assert sorted(len(left.name) for left in tmp_path.iterdir()) == [
            len("model.onnx"),
            len(".model.onnx.12345678"),
        ]
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_other_files_of_similar_names_stay(tmp_path):
    for name in (".a.json.12345678", ".a.json.txt.12345678", ".a.json.mine"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".a.json.folder").mkdir()
    write_json(tmp_path / "a.json", {})
    assert len(list(tmp_path.iterdir())) == 5


def test_the_digest_of_a_file_that_is_replaced_goes_with_it(tmp_path):
    write_json(tmp_path / "a.json", {"value": 1}, sealed=True)
    write_json(tmp_path / "a.json", {"value": 2})
    assert read_json(tmp_path / "a.json") == {"value": 2}


def test_a_write_within_a_write_of_the_same_file_leaves_it(tmp_path):
    """As of two processes that share a folder of cached answers."""
    with atomic_path(tmp_path / "a") as outer:
        outer.write_text("outer")
        write_text(tmp_path / "a", "inner")
        assert outer.read_text() == "outer"
    assert (tmp_path / "a").read_text() == "outer"


@pytest.mark.parametrize("content", [b"", b'{"name": "x", "files": [', b"[]", b"\xff", b"{}"])
def test_a_cut_manifest_is_reported_before_any_job(tmp_path, content):
    manifest = manifest_path("dataset", "x", tmp_path)
    manifest.parent.mkdir(parents=True)
    manifest.write_bytes(content)
    status = asset_status("dataset", "x", SAMPLE, None, tmp_path)
    assert status.state == "missing"
    assert f"delete {manifest} and start again" in format_table([status])
    with pytest.raises(UserError, match=r"nothing was started:\n  data set x: .*manifest\.json"):
        preflight([status])
