"""Obtaining data sets and models: the user's own copy first, then each source in its order.

What was obtained is described by a ``manifest.json`` that is written last, so that it exists only
when everything is in place: ``{"name", "kind", "directory", "files": [{"path", "bytes",
"sha256"}], "source": {"kind", "detail", "revision"}, "verified", "notes"}``. A local folder stays
where it is and *directory* is its absolute path; whatever is downloaded, unpacked, converted or
generated lies in ``files/`` next to the manifest and *directory* is relative to the manifest.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from affectlab.assets.checkpoints import check_model
from affectlab.assets.downloads import download
from affectlab.assets.hub import fetch_from_hub
from affectlab.assets.hub_data import fetch_hub_data
from affectlab.assets.local_copies import copy_files, remember
from affectlab.assets.packages.fetch import fetch_package
from affectlab.assets.recordings import LAYOUT, take_recordings
from affectlab.assets.wheels import Pins
from affectlab.errors import DataError, FetchError
from affectlab.files.archives import (
    archives_problem,
    is_archive,
    local_copy,
    single_archive,
)
from affectlab.files.integrity import SUMS
from affectlab.files.io import atomic_path, sealed_path, sha256_file, user_path, write_json
from affectlab.files.text import is_encodable
from affectlab.files.unpacking import extract
from affectlab.files.urls import redact

logger = logging.getLogger(__name__)

Kind = Literal["dataset", "model"]
Entry = Mapping[str, Any]
Generators = Mapping[str, Callable[..., Any]]
"""Name -> function(directory, seed=...) that writes a sample corpus or model there."""

KIND_NAMES = {"dataset": "data set", "model": "model"}
ROOT_KEYS = {"dataset": "data_root", "model": "model_root"}


def fetch_dataset(
    name: str,
    entry: Entry,
    manifest_path: Path | str,
    data_root: Path | str | None = None,
    generators: Generators | None = None,
) -> None:
    """Obtain a data set and write its manifest.

    A local copy that differs from the pinned checksums is taken all the same, for people hold
    subsets and other renderings; the manifest then says ``"verified": false`` and why.

    Args:
        name: of the data set; a local copy is ``<data_root>/<name>`` (folder or archive).
        entry: its entry in the registry.
        manifest_path: where to write the manifest; ``files/`` next to it holds what is fetched.
        data_root: folder of local copies.
        generators: what makes the corpora of ``sample`` sources.

    Raises:
        FetchError: no source could serve it; lists each and why.
        UserError: the disk is full or not writable.
    """
    _fetch("dataset", name, entry, Path(manifest_path), data_root, generators or {})


def fetch_model(
    name: str,
    entry: Entry,
    manifest_path: Path | str,
    model_root: Path | str | None = None,
    generators: Generators | None = None,
) -> None:
    """Obtain a pretrained model and write its manifest.

    Unlike a data set, a model whose contents differ from a pinned checksum is refused, and so is
    a directory without whole safetensors weights, config or tokenizer.

    Args:
        name: of the model; a local copy is ``<model_root>/<name>`` (folder or archive).
        entry: its entry in the registry.
        manifest_path: where to write the manifest; ``files/`` next to it holds what is fetched.
        model_root: folder of local copies.
        generators: what makes the models of ``sample`` sources.

    Raises:
        FetchError: no source could serve it; lists each and why.
        UserError: the disk is full or not writable.
    """
    _fetch("model", name, entry, Path(manifest_path), model_root, generators or {})


def _fetch(
    kind: Kind,
    name: str,
    entry: Entry,
    manifest_path: Path,
    root: Path | str | None,
    generators: Generators,
) -> None:
    for leftover in manifest_path.parent.glob(".files.*"):
        # Of a job that was killed; `atomic_path` had no chance to clear up.
        shutil.rmtree(leftover)
    copy = local_copy(name, root, entry.get("path"))
    if copy is None and "path" in entry:
        raise FetchError(f"{user_path(entry['path'])}: no such file or folder")
    if copy is not None:
        # An archive is known by its name, which what a link leads to need not have.
        whole = copy.absolute() if copy.is_file() else copy.resolve()
        manifest = _take_local(kind, entry, manifest_path.parent, whole)
    else:
        manifest = _try_sources(kind, name, entry, manifest_path.parent, root, generators)
    write_json(manifest_path, {"name": name, "kind": kind, **manifest}, sealed=True)
    # That something is generated is no problem to report: results and report state it.
    level = logging.INFO if manifest["source"]["kind"] == "sample" else logging.WARNING
    for note in manifest["notes"]:
        logger.log(level, "%s %s: %s", KIND_NAMES[kind], name, note)


def _take_local(kind: Kind, entry: Entry, folder: Path, copy: Path) -> dict[str, Any]:
    # Before anything is read: what changes meanwhile is noticed at the next start.
    digests = remember(copy, folder)
    archive = copy if copy.is_file() else single_archive(copy)
    if copy.is_dir() and (problem := archives_problem(copy)):
        raise FetchError(problem)
    packed = archive is not None and archive.suffix == ".zip" and not entry.get("unpack", True)
    single = copy.is_file() and not is_archive(copy)
    archive = None if single else archive
    if entry.get("layout") == LAYOUT and take_recordings(copy, folder / "files"):
        directory, stored = folder / "files", "files"
    elif copy.is_file() and (packed or single):
        with atomic_path(folder / "files") as fresh:
            fresh.mkdir()
            (fresh / copy.name).symlink_to(copy)
        directory, stored = folder / "files", "files"
    elif archive is None or packed:
        directory, stored = copy, str(copy)
    else:
        logger.info("unpacking %s", archive)
        try:
            extract(archive, folder / "files")
        except DataError as error:
            raise FetchError(str(error)) from error
        directory = _without_shell(folder / "files", _pin_groups(entry))
        stored = directory.relative_to(folder).as_posix()
    files = _listing(directory, digests)
    verified, mismatches, notes = _compare(files, _pin_groups(entry))
    if "path" in entry and not _pin_groups(entry):
        # Nobody expects checksums of data of one's own.
        notes = []
    if kind == "model":
        check_model(directory, entry.get("kind", ""))
        if mismatches:
            problems = "\n  ".join(mismatches)
            raise FetchError(f"{archive or copy}: not the model that is pinned:\n  {problems}")
    origin = {"kind": "local", "detail": str(archive or copy)}
    return _manifest(stored, files, origin, verified, [*mismatches, *notes])


def _without_shell(directory: Path, groups: list[Pins]) -> Path:
    """*directory*, or the one folder that is all it holds: many archives have such a shell.

    A folder that the pinned paths name is no shell.
    """
    entries = [entry for entry in directory.iterdir() if not entry.name.startswith(".")]
    if len(entries) != 1 or not entries[0].is_dir():
        return directory
    expected = any(path.startswith(f"{entries[0].name}/") for group in groups for path in group)
    return directory if expected else entries[0]


def _listing(directory: Path, digests: Mapping[Path, str]) -> list[dict[str, Any]]:
    """Path, size and digest of each file below *directory*, sorted.

    Hidden files and `SUMS` are left out; folders that are links are followed.

    Args:
        directory: that the paths are relative to.
        digests: those that are known already.

    Raises:
        FetchError: a name is not UTF-8.
    """
    listed = []
    for path in copy_files(directory):
        if path.name == SUMS or not path.is_file():
            continue
        name = path.relative_to(directory).as_posix()
        if not is_encodable(name):
            raise FetchError(f"{directory}: the file name {name!a} is not UTF-8: rename it")
        digest = digests.get(path) or sha256_file(path)
        listed.append({"path": name, "bytes": path.stat().st_size, "sha256": digest})
    return sorted(listed, key=lambda file: str(file["path"]))


def _pin_groups(entry: Entry) -> list[Pins]:
    """The sets of files with checksums that an entry knows, each complete in itself."""
    groups = [entry["files"]] if "files" in entry else []
    return groups + [source["files"] for source in entry["sources"] if "files" in source]


def _compare(files: list[dict[str, Any]], groups: list[Pins]) -> tuple[bool, list[str], list[str]]:
    """Hold files against pins, whichever group they belong to.

    Returns:
        Whether one group is there completely and every digest is pinned and right; what differs
        from its pins; and, where nothing does, notes on what cannot be told.
    """
    found = {file["path"]: file["sha256"] for file in files}
    known: dict[str, set[str | None]] = {}
    for group in groups:
        for path, digest in group.items():
            known.setdefault(path, set()).add(digest)
    mismatches = [
        f"{path}: sha256 {found[path]} is not the pinned {', '.join(sorted(filter(None, digests)))}"
        for path, digests in sorted(known.items())
        if path in found and None not in digests and found[path] not in digests
    ]
    for group in groups:
        if all(digest is not None and found.get(path) == digest for path, digest in group.items()):
            return not mismatches, mismatches, []
    notes = []
    if not mismatches:
        absences = [[path for path in group if path not in found] for group in groups]
        absent = min(absences, key=len, default=[])
        if absent:
            notes.append(f"not verified: {_listed(absent)} not there")
        unknown = [path for path in found if known.get(path, {None}) == {None}]
        if unknown:
            notes.append(f"not verified: no checksum is known for {_listed(unknown)}")
    return False, mismatches, notes


def _listed(paths: list[str]) -> str:
    """The first of them, in order of their names."""
    return ", ".join(sorted(paths)[:5]) + (", ..." if len(paths) > 5 else "")


def _manifest(
    directory: str,
    files: list[dict[str, Any]],
    source: Mapping[str, Any],
    verified: bool,
    notes: list[str],
) -> dict[str, Any]:
    return {
        "directory": directory,
        "files": files,
        "source": {"revision": None, **source},
        "verified": verified,
        "notes": notes,
    }


def _try_sources(
    kind: Kind,
    name: str,
    entry: Entry,
    folder: Path,
    root: Path | str | None,
    generators: Generators,
) -> dict[str, Any]:
    failures = []
    for number, source in enumerate(entry["sources"]):
        detail = _describe(source)
        # Half-finished downloads stay here between attempts, each source's apart.
        work = folder / f".partial-{number}"
        try:
            pins = source.get("files", {})
            target = folder / "files"
            if source["kind"] in ("hub", "url") and _is_there(target, pins):
                logger.info("%s %s: already here", KIND_NAMES[kind], name)
            else:
                logger.info("%s %s: from %s", KIND_NAMES[kind], name, detail)
                # A predictor may be given this folder without its manifest.
                with (sealed_path if kind == "model" else atomic_path)(target) as fresh:
                    fresh.mkdir()
                    _obtain(kind, source, work, fresh, generators)
                    if kind == "model":
                        check_model(fresh, entry.get("kind", ""))
        except FetchError as error:
            failures.append(f"{detail}: {error}")
            logger.warning("%s %s: %s", KIND_NAMES[kind], name, failures[-1])
            continue
        for leftover in folder.glob(".partial-*"):
            shutil.rmtree(leftover)
        unpinned = sorted(path for path, digest in pins.items() if digest is None)
        notes = [f"{path}: no checksum is pinned" for path in unpinned]
        if source["kind"] == "sample":
            notes = [
                "made by a generator; not real data" if kind == "dataset" else "random weights"
            ]
        origin = {
            "kind": source["kind"],
            "detail": detail,
            "revision": source.get("revision"),
        }
        return _manifest(
            target.name,
            _listing(target, {}),
            origin,
            bool(pins) and not unpinned,
            notes,
        )
    raise FetchError(_give_up(kind, name, entry, root, failures))


def _give_up(
    kind: Kind, name: str, entry: Entry, root: Path | str | None, failures: list[str]
) -> str:
    key = ROOT_KEYS[kind]
    place = user_path(root) / name if root is not None else f"<{key}>/{name}"
    lines = [f"{KIND_NAMES[kind]} {name} could not be obtained:"]
    lines += [f"{key}: no copy at {place}" if root is not None else f"{key} is not set"]
    lines += failures
    if entry.get("access") == "gated":
        lines.append(f"its owners hand it out themselves: {entry['ask']}")
    lines.append(f"put your own copy (a folder or an archive) at {place} to go on without a source")
    return "\n  ".join(lines)


def _describe(source: Mapping[str, Any]) -> str:
    match source["kind"]:
        case "hub" | "hub_data":
            return f"hub {source['repo']}@{source['revision'][:8]}"
        case "url":
            return " ".join(map(redact, source["urls"]))
        case "package":
            return "package " + " ".join(source["requirements"])
        case "sample":
            return f"generator {source['generator']}"
        case other:
            raise FetchError(f"unknown kind of source {other!r}")


def _is_there(directory: Path, pins: Pins) -> bool:
    """Whether an earlier fetch left exactly the pinned files here."""
    return bool(pins) and all(
        digest is not None
        and (directory / path).is_file()
        and sha256_file(directory / path) == digest
        for path, digest in pins.items()
    )


def _obtain(
    kind: Kind, source: Mapping[str, Any], work: Path, fresh: Path, generators: Generators
) -> None:
    """Put the files of one source into the empty folder *fresh*."""
    pins = source.get("files", {})
    match source["kind"]:
        case "hub":
            fetch_from_hub(source, kind, work, fresh)
        case "hub_data":
            fetch_hub_data(source, work, fresh)
        case "url":
            _from_urls(source["urls"], pins, work, fresh)
        case "package":
            fetch_package(source["package"], source["requirements"], work, fresh, pins)
        case "sample":
            generator = generators.get(source["generator"])
            if generator is None:
                raise FetchError(f"no generator called {source['generator']!r}")
            generator(fresh, seed=source.get("seed", 0))


def _from_urls(urls: list[str], pins: Pins, work: Path, fresh: Path) -> None:
    """Download each address under the last part of its path; a lone archive is unpacked."""
    names = {Path(unquote(urlsplit(url).path)).name: url for url in urls}
    missing = sorted(set(pins) - set(names))
    if missing or "" in names or len(names) != len(urls):
        raise FetchError(f"the addresses do not name one file each of {', '.join(sorted(pins))}")
    for name, url in names.items():
        download(url, work / name, sha256=pins.get(name))
    first = work / next(iter(names))
    if len(names) == 1 and is_archive(first):
        try:
            extract(first, work / "unpacked")
        except DataError as error:
            raise FetchError(str(error)) from error
        for path in _without_shell(work / "unpacked", [pins]).iterdir():
            path.replace(fresh / path.name)
        return
    for name in names:
        (work / name).replace(fresh / name)
