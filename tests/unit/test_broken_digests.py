"""Whatever a kill leaves of a file, its digest and its neighbours, the next start can go on."""

import json
import os
import signal
import sys
from functools import partial

import pytest
from torch import nn
from transformers import AutoModel

from affectlab.assets.local_copies import MARKER_NAME, STATE_NAME, marker, remember
from affectlab.assets.status import asset_status, manifest_path
from affectlab.config.models import Lora
from affectlab.entity.stages import load_stage, store_stage
from affectlab.errors import DataError
from affectlab.files.integrity import SUMS, check_directory, check_file, digest_path
from affectlab.files.io import clear_leftovers, read_json, sealed_path, write_json
from affectlab.models.text_models import add_lora, save_adapter
from affectlab.samples.models import write_tiny_bert
from affectlab.training.checkpoints import remove_checkpoints
from affectlab.training.loop import Fitted

SAMPLE = {"sources": [{"kind": "sample", "generator": "emotion"}], "access": "open"}
BROKEN = [
    pytest.param(b"", id="empty"),
    pytest.param(b"0123456789abcdef", id="cut"),
    pytest.param(b"\xff\xfe", id="not_text"),
    pytest.param(b"\0" * 90, id="zeros"),
    pytest.param(b"x" * 64 + b"  a.json\n", id="no_digits"),
]

STEPS = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree")


def killed_at(event, work):
    """Call *work* in a process that is killed at its *event*-th disk access.

    Returns:
        Whether it was; it may have come to its end before.
    """
    child = os.fork()
    if child == 0:
        left = [None] * event

        def at(name, _):
            if name in STEPS:
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
                left.pop()

        status = 1
        try:
            sys.addaudithook(at)
            work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return status != 0


def test_a_kill_at_any_step_of_a_write_leaves_a_file_that_can_be_read(tmp_path):
    """The old one or the new one, and never the digest of the other."""
    path = tmp_path / "a.json"
    found = []
    for event in range(100):
        write_json(path, {"value": "old"}, sealed=True)
        killed = killed_at(event, lambda: write_json(path, {"value": "new"}, sealed=True))
        found.append(read_json(path)["value"])
        write_json(path, {"value": "newest"}, sealed=True)
        assert sorted(left.name for left in tmp_path.iterdir()) == [".a.json.sha256", "a.json"]
        if not killed:
            break
    assert found == sorted(found, reverse=True)
    # Renamed, but without its digest, in at least one place.
    assert found.count("old") >= 3
    assert found.count("new") >= 3


def test_a_new_file_is_never_without_its_digest(tmp_path):
    """Files of a cache are not written again, so nothing would add it."""
    path = tmp_path / "a.json"
    states = []
    for event in range(100):
        killed = killed_at(event, lambda: write_json(path, {"value": "new"}, sealed=True))
        states.append((digest_path(path).exists(), path.exists()))
        clear_leftovers(tmp_path)
        assert {left.name for left in tmp_path.iterdir()} <= {".a.json.sha256", "a.json"}
        for left in tmp_path.iterdir():
            left.unlink()
        if not killed:
            break
    assert states == sorted(states)
    assert set(states) == {(False, False), (True, False), (True, True)}


def test_what_is_being_written_is_not_cleared(tmp_path):
    (tmp_path / ".notes").mkdir()
    with sealed_path(tmp_path / "a") as temporary:
        clear_leftovers(tmp_path)
        temporary.write_text("a")
    clear_leftovers(tmp_path / "no_such_folder")
    assert sorted(left.name for left in tmp_path.iterdir()) == [".a.sha256", ".notes", "a"]


def test_checkpoints_are_removed_as_a_whole(tmp_path):
    """A checkpoint whose best weights are gone would end every later start."""
    names = {"checkpoint.pt", "best-1.safetensors", "best-2.safetensors"}
    for event in range(100):
        folder = tmp_path / str(event) / "checkpoints"
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text("")
        killed = killed_at(event, partial(remove_checkpoints, folder))
        left = {path.name for path in folder.iterdir()} if folder.exists() else set()
        assert left in (names, set())
        remove_checkpoints(folder)
        assert list(folder.parent.iterdir()) == []
        if not killed:
            break
    assert event >= len(names)


@pytest.mark.parametrize("content", BROKEN)
def test_the_message_of_a_broken_digest_tells_how_to_go_on(tmp_path, content):
    path = tmp_path / "a.json"
    write_json(path, {"value": 1}, sealed=True)
    digest_path(path).write_bytes(content)
    with pytest.raises(DataError, match=rf"Delete {digest_path(path)} to read") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=rf"Delete {digest_path(path)} to read"):
        check_file(path)
    digest_path(path).unlink()
    assert read_json(path) == {"value": 1}


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_digest_goes_with_the_next_write(tmp_path, content):
    path = tmp_path / "a.json"
    digest_path(path).write_bytes(content)
    write_json(path, {"value": 2}, sealed=True)
    assert read_json(path) == {"value": 2}


@pytest.mark.parametrize("content", BROKEN[1:])
def test_the_message_of_a_broken_list_of_digests_tells_how_to_go_on(tmp_path, content):
    with sealed_path(tmp_path / "model") as temporary:
        temporary.mkdir()
        (temporary / "config.json").write_text("{}")
    sums = tmp_path / "model" / SUMS
    sums.write_bytes(content)
    with pytest.raises(DataError, match=rf"Delete {sums} to read"):
        check_directory(tmp_path / "model")
    sums.unlink()
    check_directory(tmp_path / "model")


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_digest_of_a_manifest_is_reported_before_any_job(tmp_path, content):
    manifest = manifest_path("dataset", "x", tmp_path)
    write_json(manifest, {}, sealed=True)
    digest_path(manifest).write_bytes(content)
    status = asset_status("dataset", "x", SAMPLE, None, tmp_path)
    assert status.state == "missing"
    assert status.detail.endswith(f"; delete {manifest} and start again")
    assert status.detail.lower().count("delete") == 1
    manifest.unlink()
    assert asset_status("dataset", "x", SAMPLE, None, tmp_path).state == "downloadable"


@pytest.mark.parametrize("name", [MARKER_NAME, STATE_NAME])
@pytest.mark.parametrize(
    "content", [*BROKEN, b"[]", b'{"copy": "COPY", "files": {"a": []}}', b'{"copy": "COPY"}']
)
def test_what_is_remembered_of_a_local_copy_may_be_cut(tmp_path, name, content):
    copy, folder = tmp_path / "copy", tmp_path / "resources"
    copy.mkdir()
    folder.mkdir()
    (copy / "a").write_text("a")
    remember(copy, folder)
    before = marker(copy, folder).read_bytes()
    (folder / name).write_bytes(content.replace(b"COPY", str(copy.resolve()).encode()))
    assert len(marker(copy, folder).read_bytes()) == len(before)
    remember(copy, folder)
    assert marker(copy, folder).read_bytes() == before


# --- a training of several stages ----------------------------------------------------------------


def stage(folder):
    """A finished stage: the path of its files, and the network that is to be given its weights."""
    stem = folder / "stage0"
    store_stage(nn.Linear(2, 2), stem, "me", Fitted([{"step": 1}], {"steps": 1}))
    return nn.Linear(2, 2), stem


def test_a_finished_stage_is_used(tmp_path):
    network, stem = stage(tmp_path)
    assert network.training
    assert load_stage(network, stem, "me") == Fitted([{"step": 1}], {"steps": 1})
    # The calibration that follows has no dropout.
    assert not network.training
    assert load_stage(network, stem, "another") is None


@pytest.mark.parametrize("name", ["stage0.json", "stage0.safetensors"])
@pytest.mark.parametrize("part", ["file", "digest"])
@pytest.mark.parametrize("content", BROKEN[:3])
def test_a_corrupt_stage_is_trained_again(tmp_path, name, part, content, caplog):
    network, stem = stage(tmp_path)
    before = network.weight.clone()
    broken = tmp_path / name
    (broken if part == "file" else digest_path(broken)).write_bytes(content)
    assert load_stage(network, stem, "me") is None
    assert "the stage is trained again" in caplog.text
    assert network.weight.equal(before)


# --- adapters ------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("query", "key", "value"), ("value", "query", "key")])
def test_adapters_are_stored_as_the_same_bytes_in_every_process(tmp_path, order):
    """PEFT keeps the names of the modules as a set; its order is another in each process."""
    write_tiny_bert(tmp_path / "bert", seed=0)
    lora = Lora(rank=2, alpha=4, target_modules=["key", "query", "value"])
    network = add_lora(AutoModel.from_pretrained(tmp_path / "bert"), lora, task="SEQ_CLS")
    network.peft_config["default"].target_modules = order
    save_adapter(network, tmp_path / "adapter")
    stored = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert stored["target_modules"] == ["key", "query", "value"]
