"""What stands where: present, downloadable or missing, and how to get what is missing."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from affectlab.assets.fetch import fetch_dataset
from affectlab.assets.local_copies import copy_files
from affectlab.assets.status import (
    AssetStatus,
    asset_status,
    entry_in_use,
    fetched_part,
    format_table,
    generated_data,
    manifest_path,
    preflight,
)
from affectlab.config.load import load_config
from affectlab.errors import UserError
from affectlab.experiments import check_config, check_text, validate_config
from affectlab.files.archives import local_copy

PROJECT = Path(__file__).parents[2]
GATED = {"ask": "Ask the authors by the form on their page.", "sources": []}
HUB = {"sources": [{"kind": "hub", "repo": "a/b", "revision": "0123456789" * 4, "files": {}}]}


def watched_files(name, root):
    """The files of the local copy whose changes are noticed."""
    copy = local_copy(name, root)
    return [] if copy is None else copy_files(copy)


def test_a_local_copy_wins(tmp_path):
    (tmp_path / "root" / "x").mkdir(parents=True)
    (tmp_path / "root" / "x" / "train.txt").write_text("a;joy\n")
    status = asset_status("dataset", "x", HUB, tmp_path / "root", tmp_path / "resources")
    assert (status.state, status.detail) == ("present", str(tmp_path / "root" / "x"))


def test_an_archive_is_a_local_copy(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK")
    status = asset_status("dataset", "x", GATED, tmp_path, tmp_path / "resources")
    assert status.state == "present"
    assert watched_files("x", tmp_path) == [tmp_path / "x.zip"]


def test_an_empty_folder_is_no_copy(tmp_path):
    (tmp_path / "x").mkdir()
    assert asset_status("dataset", "x", HUB, tmp_path, tmp_path / "r").state == "downloadable"
    assert watched_files("x", tmp_path) == []


@pytest.mark.parametrize("denied", ["x", "x/train.txt", "x/more"])
def test_a_local_copy_that_may_not_be_read_is_named_before_any_job(tmp_path, monkeypatch, denied):
    """As of a corpus that a cluster keeps for a group of people."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "train.txt").write_text("i am glad;joy")
    (tmp_path / "x" / "more").mkdir()
    refused, scandir = str(tmp_path / denied), os.scandir

    def no_entry(path):
        if str(path) == refused:
            raise PermissionError(errno.EACCES, "Permission denied", refused)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", no_entry)
    monkeypatch.setattr(os, "listdir", lambda path: [entry.name for entry in no_entry(path)])
    # The tests may run as root, who may read everything.
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != refused)
    status = asset_status("dataset", "x", HUB, tmp_path, tmp_path / "resources")
    assert status.state == "missing"
    assert status.detail.startswith(f"{refused} may not be read")


def test_hidden_folders_are_not_watched(tmp_path):
    """As of a clone, where `git fetch` writes in `.git`."""
    (tmp_path / "x" / ".git" / "refs").mkdir(parents=True)
    (tmp_path / "x" / ".git" / "refs" / "head").write_text("1")
    (tmp_path / "x" / "train.txt").write_text("i am glad;joy")
    assert watched_files("x", tmp_path) == [tmp_path / "x" / "train.txt"]


def test_a_link_that_leads_nowhere_is_not_watched(tmp_path):
    """As in a clone of git-annex, of files that were not asked for."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "train.txt").write_text("i am glad;joy")
    (tmp_path / "x" / "recording.wav").symlink_to(tmp_path / "annex" / "recording.wav")
    assert watched_files("x", tmp_path) == [tmp_path / "x" / "train.txt"]
    assert asset_status("dataset", "x", GATED, tmp_path, tmp_path / "r").state == "present"


def test_what_is_fetched_depends_on_sources_and_contents_alone():
    entry = {**HUB, "title": "A", "citation": "B", "expected": {}, "unpack": False}
    assert fetched_part(entry) == {**HUB, "unpack": False}
    turned = {"sources": [dict(reversed(source.items())) for source in HUB["sources"]]}
    assert repr(fetched_part(turned)) == repr(fetched_part(HUB))


def test_what_was_fetched_is_present(tmp_path):
    manifest = tmp_path / "resources" / "models" / "m" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"files": [], "source": {"kind": "hub"}}')
    status = asset_status("model", "m", HUB, None, tmp_path / "resources")
    assert (status.state, status.detail) == ("present", str(manifest.parent))


@pytest.mark.parametrize(("entry", "state"), [(GATED, "missing"), (HUB, "downloadable")])
def test_a_local_copy_that_is_no_longer_named_is_not_present(tmp_path, entry, state):
    """It would be fetched anew; where it cannot be, nothing must be started, nor lost."""
    (tmp_path / "root" / "x").mkdir(parents=True)
    (tmp_path / "root" / "x" / "train.txt").write_text("i am glad;joy")
    manifest = manifest_path("dataset", "x", tmp_path / "resources")
    fetch_dataset("x", entry, manifest, tmp_path / "root")
    for root in (None, tmp_path):
        assert asset_status("dataset", "x", entry, root, tmp_path / "resources").state == state
    status = asset_status("dataset", "x", entry, tmp_path / "root", tmp_path / "resources")
    assert status.state == "present"


def test_only_what_a_generator_made_is_generated(tmp_path):
    sample = {"sources": [{"kind": "sample", "generator": "corpus"}]}
    (tmp_path / "mine" / "copied").mkdir(parents=True)
    (tmp_path / "mine" / "copied" / "real.txt").write_text("somebody's words")
    manifests = [tmp_path / name / "manifest.json" for name in ("made", "copied")]
    for manifest in manifests:
        fetch_dataset(
            manifest.parent.name,
            sample,
            manifest,
            data_root=tmp_path / "mine",
            generators={"corpus": lambda folder, **_: (folder / "made.txt").write_text("made")},
        )
    assert generated_data(manifests) == ["made"]


def test_a_copy_under_the_name_of_a_sample_is_described_as_a_copy(tmp_path):
    sample = {
        "title": "Generated cases",
        "licence": "MIT",
        "terms": "none",
        "facts": {"languages": ["en"]},
        "sources": [{"kind": "sample", "generator": "corpus"}],
    }
    assert entry_in_use("corpus", sample, tmp_path) == sample
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "real.txt").write_text("somebody's words")
    found = entry_in_use("corpus", sample, tmp_path)
    assert found["sources"] == []
    assert "facts" not in found
    assert "Generated" not in found["title"]
    assert found["licence"] != "MIT"
    hub = {"sources": [{"kind": "hub", "repo": "a/b", "revision": "c"}]}
    assert entry_in_use("corpus", hub, tmp_path) == hub


def test_a_download_names_where_from(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    status = asset_status("model", "m", HUB, None, tmp_path)
    assert status == AssetStatus("model", "m", "downloadable", "the model hub: a/b@01234567")


def test_offline_the_hub_is_only_a_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in asset_status("model", "m", HUB, None, tmp_path).detail


def test_what_is_missing_says_whom_to_ask_and_where_to_put_it(tmp_path):
    without_root = asset_status("dataset", "x", GATED, None, tmp_path)
    assert without_root.state == "missing"
    assert "Ask the authors" in without_root.detail
    assert "data_root" in without_root.detail
    with_root = asset_status("dataset", "x", GATED, tmp_path / "data", tmp_path)
    assert str(tmp_path / "data" / "x") in with_root.detail


def test_preflight_names_everything_missing_at_once(tmp_path):
    statuses = [
        asset_status("dataset", "x", GATED, None, tmp_path),
        asset_status("dataset", "y", HUB, None, tmp_path),
        asset_status("model", "z", {"sources": []}, None, tmp_path),
    ]
    with pytest.raises(UserError) as caught:
        preflight(statuses)
    heading, *lines = str(caught.value).split("\n  ")
    assert heading == "2 things are missing, so nothing was started:"
    assert [line.split(":")[0] for line in lines] == ["data set x", "model z"]


def test_preflight_is_silent_when_all_can_be_had(tmp_path):
    preflight([asset_status("dataset", "y", HUB, None, tmp_path)])


def test_the_whole_config_is_checked_and_printed(tmp_path):
    config = load_config(PROJECT, [PROJECT / "config" / "demo.yaml"]) | {"experiments": ["emotion"]}
    statuses = check_config(*validate_config(config, PROJECT), tmp_path)
    assert [(one.kind, one.name) for one in statuses] == [
        ("dataset", "emotion_sample"),
        ("model", "minilm-l6"),
        ("model", "qwen3-tiny"),
    ]
    lines = format_table(statuses).split("\n")
    assert len(lines) == 3
    assert len({line.index(one.name) for line, one in zip(lines, statuses, strict=True)}) == 1


def test_what_is_missing_comes_first_and_one_line_tells_what_can_run(tmp_path):
    config = load_config(PROJECT, []) | {"experiments": ["emotion", "face"]}
    config, registries = validate_config(config, PROJECT)
    first, *_, blank, last = check_text(config, check_config(config, registries, tmp_path)).split(
        "\n"
    )
    assert first.split()[:4] == ["missing", "data", "set", "fer2013"]
    assert blank == ""
    assert last == ("Can run: emotion. Cannot run yet, because something is missing: face.")


def test_what_the_snakefile_imports_is_light():
    """Every cluster job imports these modules before it does anything."""
    heavy = ("torch", "transformers", "numpy", "pandas", "sklearn", "matplotlib", "jsonschema")
    code = (
        "import sys\n"
        "import affectlab.config.sources, affectlab.experiments\n"
        f"sys.exit(','.join(name for name in {heavy!r} if name in sys.modules) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(PROJECT / "workflow" / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_local_folder_is_not_taken_for_a_data_set_of_the_hub(tmp_path, monkeypatch):
    from affectlab.assets.hub_data import fetch_hub_data
    from affectlab.errors import FetchError

    (tmp_path / "owner" / "name").mkdir(parents=True)
    (tmp_path / "owner" / "name" / "train.csv").write_text("text,label\na,b\n")
    (tmp_path / "fresh").mkdir()
    monkeypatch.chdir(tmp_path)
    source = {"kind": "hub_data", "repo": "owner/name", "revision": "0" * 40}
    with pytest.raises(FetchError, match="a folder of this name is here"):
        fetch_hub_data(source, tmp_path / "work", tmp_path / "fresh")
    assert list((tmp_path / "fresh").iterdir()) == []
