"""Files are written whole or not at all, whatever goes wrong."""

import errno
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from affectlab.errors import DataError, UserError
from affectlab.files import io
from affectlab.files.text import read_text


def test_a_full_disk_is_one_clear_error_and_leaves_the_old_file(small_disk):
    target = small_disk / "records.jsonl"
    io.write_text(target, "old\n")
    with pytest.raises(UserError, match=r"records\.jsonl: cannot be written: No space left"):
        io.write_jsonl(target, ({"text": "x" * 1000} for _ in range(5000)))
    assert target.read_text() == "old\n"
    assert list(small_disk.iterdir()) == [target]


def test_lines_appended_to_a_full_disk_are_one_clear_error(small_disk):
    target = small_disk / "new" / "answers.jsonl"
    for number in range(2):
        io.append_jsonl(target, [{"number": number}])
    assert list(io.read_jsonl(target)) == [{"number": 0}, {"number": 1}]
    with pytest.raises(UserError, match=r"answers\.jsonl: cannot be written: No space left"):
        io.append_jsonl(target, ({"text": "x" * 1000} for _ in range(5000)))
    assert target.read_text().startswith('{"number": 0}\n{"number": 1}\n')


def test_weights_on_a_full_disk_are_one_clear_error(small_disk):
    from safetensors.numpy import save_file

    with (
        pytest.raises(UserError, match=r"model\.safetensors: cannot be written"),
        io.atomic_path(small_disk / "model.safetensors") as temporary,
    ):
        save_file({"weights": np.zeros(1 << 20, np.float32)}, temporary)
    assert list(small_disk.iterdir()) == []


def test_a_checkpoint_on_a_full_disk_is_one_clear_error(small_disk):
    import torch

    with (
        pytest.raises(UserError, match=r"checkpoint\.pt: cannot be written"),
        io.atomic_path(small_disk / "checkpoint.pt") as temporary,
    ):
        torch.save(torch.zeros(1 << 20), temporary)
    assert list(small_disk.iterdir()) == []


def test_a_read_only_folder_is_one_clear_error(read_only_disk):
    with pytest.raises(UserError, match=r"metrics\.json: cannot be written: Read-only file system"):
        io.write_json(read_only_disk / "metrics.json", {})


def test_what_cannot_be_read_is_not_blamed_on_the_target(tmp_path):
    source = tmp_path / "source" / "data.zip"
    denied = PermissionError(errno.EACCES, "Permission denied", str(source))
    with (
        pytest.raises(UserError, match=r"data\.zip: cannot be read: Permission denied"),
        io.atomic_path(tmp_path / "out" / "files"),
    ):
        raise denied
    with (
        pytest.raises(UserError, match="files: cannot be written: Permission denied"),
        io.atomic_path(tmp_path / "out" / "files") as temporary,
    ):
        raise PermissionError(errno.EACCES, "Permission denied", str(temporary))


def _write_half(path: Path, error: BaseException) -> None:
    with io.atomic_writer(path) as stream:
        stream.write("half")
        raise error


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_an_error_or_interrupt_midway_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)):
        _write_half(tmp_path / "file.txt", error)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "model"
    for name in ("old", "new"):
        with io.atomic_path(target) as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_new_files_have_ordinary_permissions(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("x")
    io.write_text(tmp_path / "ours", "x")
    assert (tmp_path / "ours").stat().st_mode == plain.stat().st_mode


def test_json_is_canonical_and_refuses_nan(tmp_path):
    io.write_json(tmp_path / "a.json", {"b": 1.5, "a": "ä"})
    io.write_json(tmp_path / "b.json", {"a": "ä", "b": 1.5})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert io.read_json(tmp_path / "a.json") == {"a": "ä", "b": 1.5}
    with pytest.raises(ValueError, match="not JSON compliant"):
        io.write_json(tmp_path / "c.json", {"a": float("nan")})
    assert not (tmp_path / "c.json").exists()


def test_json_lines_keep_odd_characters_and_pass_over_blank_lines(tmp_path):
    rows = [{"text": "a\u2028b\x85c"}, {"text": "tab\t\n"}]
    assert io.write_jsonl(tmp_path / "rows.jsonl", rows) == 2
    with (tmp_path / "rows.jsonl").open("a") as stream:
        stream.write("\n")
    assert list(io.read_jsonl(tmp_path / "rows.jsonl")) == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": \n', r"rows\.jsonl, line 2: not valid JSON"),
        (b'{"a": 1}\n[1]\n', r"rows\.jsonl, line 2: expected a JSON object"),
        (b'{"a": 1}\n{"a": "\xff"}\n', r"rows\.jsonl, line 2: expected UTF-8, found byte 0xff"),
    ],
)
def test_broken_json_lines_are_named(tmp_path, content, message):
    (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(io.read_jsonl(tmp_path / "rows.jsonl"))


def test_a_missing_file_and_broken_json_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.json: no such file"):
        io.read_json(tmp_path / "nowhere.json")
    (tmp_path / "broken.json").write_text('{\n"a": }')
    with pytest.raises(DataError, match=r"broken\.json, line 2, column 6: not valid JSON"):
        io.read_json(tmp_path / "broken.json")


def test_text_is_read_whatever_its_line_ends_and_mark(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert read_text(tmp_path / "a.txt") == "one\ntwo\nthree\n"


def test_the_checksum_is_that_of_the_coreutils(tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)) * 9000)
    shown = subprocess.run(
        ["sha256sum", str(tmp_path / "file")], capture_output=True, text=True, check=True
    )
    assert io.sha256_file(tmp_path / "file") == shown.stdout.split()[0]


def test_numbers_are_rounded_to_significant_digits():
    assert io.round_significant(0.000123456789123) == 0.00012345679
    assert json.dumps(io.round_significant(1 / 3)) == "0.33333333"
    with pytest.raises(ValueError, match="cannot store"):
        io.round_significant(float("inf"))


def test_json_without_end_of_nesting_is_named(tmp_path):
    path = tmp_path / "deep.json"
    path.write_text("[" * 5000)
    with pytest.raises(DataError, match=r"deep\.json: not valid JSON: nested too deeply"):
        io.read_json(path)
    with pytest.raises(DataError, match="line 1: not valid JSON: nested too deeply"):
        list(io.read_jsonl(path))


def test_json_with_an_endless_number_is_named(tmp_path):
    path = tmp_path / "long.json"
    path.write_text('{"id": ' + "1" * 5000 + "}")
    with pytest.raises(DataError, match=r"long\.json: not valid JSON: a number out of bounds"):
        io.read_json(path)
    with pytest.raises(DataError, match="line 1: not valid JSON: a number out of bounds"):
        list(io.read_jsonl(path))


def test_a_file_never_replaces_a_folder(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "kept.txt").write_text("x")
    with pytest.raises(UserError, match="results: is a folder, expected a file or nothing"):
        io.write_text(tmp_path / "results", "x")
    with pytest.raises(UserError, match="results: is a folder, expected a file or nothing"):
        io.check_target(tmp_path / "results")
    assert [path.name for path in tmp_path.rglob("*")] == ["results", "kept.txt"]


def test_a_target_is_checked_before_the_work(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"out\.jsonl: cannot be written"):
        io.check_target(tmp_path / "file" / "out.jsonl")
    io.check_target(tmp_path / "new" / "out.jsonl")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_is_no_file_to_read(tmp_path):
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_text(tmp_path)
