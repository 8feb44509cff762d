"""Manifests: the record of what was obtained, beside the files of a data set or model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from affectlab.errors import DataError
from affectlab.files.integrity import check_sums
from affectlab.files.io import read_json


def read_manifest(path: Path | str, needed: Sequence[str] = ()) -> dict[str, Any]:
    """Read a manifest as `assets.fetch` writes it.

    Args:
        path: the manifest.
        needed: which of ``name``, ``kind`` and ``directory`` are going to be read beside source
            and files.

    Raises:
        DataError: there is none, or it is cut short or corrupt; says to delete it.
    """
    found = read_json(path)
    if problem := _manifest_problem(found, needed):
        raise DataError(path, None, f"{problem}; delete its folder to fetch it again")
    checked: dict[str, Any] = found
    return checked


def _manifest_problem(found: Any, needed: Sequence[str]) -> str | None:
    if not isinstance(found, dict):
        return "expected a manifest, an object"
    if absent := [name for name in needed if not isinstance(found.get(name), str)]:
        return f"expected a manifest with the {' and '.join(absent)} of what was fetched"
    source, files = found.get("source"), found.get("files")
    if not isinstance(source, dict) or not isinstance(source.get("kind"), str):
        return "expected the source, with its kind"
    if not isinstance(files, list):
        return "expected a list of files"
    for file in files:
        if (
            not isinstance(file, dict)
            or not isinstance(file.get("path"), str)
            or not isinstance(file.get("sha256"), str)
            or type(file.get("bytes")) is not int
        ):
            return "expected the path, bytes and sha256 of each file"
        if not _is_path(file["path"]):
            return "the path of a file holds what no path can hold"
    if "directory" in needed and not _is_path(found["directory"]):
        return "the directory holds what no path can hold"
    return None


def _is_path(text: str) -> bool:
    """Whether a file can have this path: no NUL character, no half of a surrogate pair."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def manifest_directory(manifest_path: Path | str) -> Path:
    """Return the folder with the files of a manifest, after a check of their SHA-256.

    Raises:
        DataError: no such manifest, it names no directory, or a file is missing or is not the one
            that was obtained.
    """
    path = Path(manifest_path)
    manifest = read_manifest(path, ["directory"])
    directory: Path = path.parent / manifest["directory"]
    check_sums(directory, {file["path"]: file["sha256"] for file in manifest["files"]}, path)
    return directory
