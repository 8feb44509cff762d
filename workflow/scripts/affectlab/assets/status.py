"""What a configuration needs from outside, and where each of it stands."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from affectlab.assets.local_copies import copy_files, marker
from affectlab.assets.manifest import read_manifest
from affectlab.assets.recordings import LAYOUT
from affectlab.errors import DataError, UserError
from affectlab.files.archives import archives_problem, foreign_copy, local_copy
from affectlab.files.io import read_json, user_path
from affectlab.files.urls import redact

Kind = Literal["dataset", "model"]
KIND_NAMES = {"dataset": "data set", "model": "model"}
RESOURCE_FOLDERS = {"dataset": "raw", "model": "models"}


@dataclass(frozen=True, slots=True)
class AssetStatus:
    """One data set or model and where it stands.

    Attributes:
        kind: ``dataset`` or ``model``.
        name: its name in the registry.
        state: ``present``, ``downloadable`` (generated ones too) or ``missing``, as is a local copy
            that may not be read.
        detail: where it is, where it will come from, or how to get it.
    """

    kind: Kind
    name: str
    state: Literal["present", "downloadable", "missing"]
    detail: str


def local_marker(
    kind: Kind,
    name: str,
    entry: Mapping[str, Any],
    root: Path | str | None,
    resources: Path | str,
) -> list[str]:
    """The file that is newer than the manifest once the user's own copy has changed.

    Returns:
        Its path; nothing without a copy.
    """
    copy = local_copy(name, root, entry.get("path"))
    if copy is None:
        return []
    return [str(marker(copy, manifest_path(kind, name, resources).parent))]


def manifest_path(kind: Kind, name: str, resources: Path | str) -> Path:
    """Where the manifest of a data set or model lies once it has been fetched."""
    return Path(resources, RESOURCE_FOLDERS[kind], name, "manifest.json")


def fetched_part(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What of a registry's entry decides what is fetched, or how its failure is explained.

    A corrected title or citation, another expectation of the audit, or another order of keys
    fetches nothing again.
    """
    keys = ("sources", "files", "unpack", "kind", "access", "ask", "path")
    part = {key: entry[key] for key in keys if key in entry}
    if "path" in entry and entry.get("layout") == LAYOUT:
        # Recordings inside of tables are written as files.
        part["layout"] = LAYOUT
    return dict(json.loads(json.dumps(part, sort_keys=True)))


def asset_status(
    kind: Kind,
    name: str,
    entry: Mapping[str, Any],
    root: Path | str | None,
    resources: Path | str,
) -> AssetStatus:
    """Find out where one data set or model stands, without any network.

    Args:
        kind: ``dataset`` or ``model``.
        name: its name in the registry.
        entry: its entry there.
        root: ``data_root`` or ``model_root`` of the configuration.
        resources: folder in which fetched things are kept.
    """
    copy = local_copy(name, root, entry.get("path"))
    if copy is None and "path" in entry:
        detail = f"{user_path(entry['path'])}: no such file or folder (path of the entry)"
        return AssetStatus(kind, name, "missing", detail)
    if copy is not None:
        if denied := _unreadable(copy, copy_files(copy)):
            detail = f"{denied} may not be read; ask its owner for the right to"
            return AssetStatus(kind, name, "missing", detail)
        if copy.is_dir() and (packed := archives_problem(copy)):
            return AssetStatus(kind, name, "missing", packed)
        return AssetStatus(kind, name, "present", str(copy))
    if foreign := foreign_copy(name, root):
        detail = f"{foreign}: an archive of a kind that is not read here; unpack it to "
        return AssetStatus(kind, name, "missing", f"{detail}{foreign.parent / name}")
    manifest = manifest_path(kind, name, resources)
    # What came from a local copy is fetched anew once that is gone or its folder no longer named.
    if manifest.is_file():
        try:
            content = read_json(manifest)
            fetched = content["source"]["kind"] != "local"
        except (DataError, KeyError, TypeError) as error:
            problem = error if isinstance(error, DataError) else f"{manifest}: no such manifest"
            # What the message of a digest advises next does not lead to a whole manifest.
            cause = str(problem).partition(". ")[0]
            detail = f"{cause}; delete {manifest} and start again"
            return AssetStatus(kind, name, "missing", detail)
        if fetched:
            return AssetStatus(kind, name, "present", str(manifest.parent))
    if entry["sources"]:
        origins = ", else ".join(_origin(source) for source in entry["sources"])
        return AssetStatus(kind, name, "downloadable", origins)
    return AssetStatus(kind, name, "missing", _how_to_get(kind, name, entry, root))


def _unreadable(copy: Path, files: Iterable[Path]) -> str | None:
    """The first of a local copy and its *files* that may not be read, if there is one."""
    if not os.access(copy, os.R_OK | (os.X_OK if copy.is_dir() else 0)):
        return str(copy)
    return next((str(file) for file in files if not os.access(file, os.R_OK)), None)


def generated_data(manifest_paths: Iterable[Path | str]) -> list[str]:
    """Names of the data sets that a generator made, by their manifests, sorted.

    A user's own copy wins over a generator, so what the registry says of a sample corpus does not
    tell whether its texts are anybody's.
    """
    manifests = [read_manifest(path, ["name"]) for path in manifest_paths]
    return sorted(found["name"] for found in manifests if found["source"]["kind"] == "sample")


def entry_in_use(name: str, entry: Mapping[str, Any], root: Path | str | None) -> Mapping[str, Any]:
    """The registry's entry of a data set, or what is known where a copy stands in for a sample.

    Args:
        name: of the data set.
        entry: its entry in the registry.
        root: ``data_root`` of the configuration.
    """
    kinds = {source["kind"] for source in entry["sources"]}
    if "sample" not in kinds or local_copy(name, root) is None:
        return entry
    # Facts and expectations of the registry are those of the sample.
    kept = {key: value for key, value in entry.items() if key not in ("facts", "expected")}
    return {
        **kept,
        "title": f"The user's own data under the name {name}",
        "licence": "that of the data",
        "terms": "those of the data",
        "citation": "that of the data",
        "sources": [],
    }


def format_table(statuses: Iterable[AssetStatus]) -> str:
    """The statuses as lines of text: state, kind, name, detail."""
    rows = [(one.state, KIND_NAMES[one.kind], one.name, one.detail) for one in statuses]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    )


def preflight(statuses: Iterable[AssetStatus]) -> None:
    """Stop before any work if anything is missing.

    Raises:
        UserError: names everything missing at once, and how to get each.
    """
    missing = [one for one in statuses if one.state == "missing"]
    if missing:
        lines = [f"{KIND_NAMES[one.kind]} {one.name}: {one.detail}" for one in missing]
        count = "1 thing is" if len(missing) == 1 else f"{len(missing)} things are"
        raise UserError("\n  ".join([f"{count} missing, so nothing was started:", *lines]))


def _origin(source: Mapping[str, Any]) -> str:
    match source["kind"]:
        case "hub" | "hub_data":
            offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
            where = "the model hub's cache (HF_HUB_OFFLINE is set)" if offline else "the model hub"
            return f"{where}: {source['repo']}@{source['revision'][:8]}"
        case "url":
            return redact(str(source["urls"][0]))
        case "package":
            first, *others = source["requirements"]
            return f"the package {first}" + (f" and {len(others)} more" if others else "")
        case "sample":
            return "generated on the spot"
        case other:
            raise ValueError(f"unknown kind of source {other!r}")


def _how_to_get(kind: Kind, name: str, entry: Mapping[str, Any], root: Path | str | None) -> str:
    key = "data_root" if kind == "dataset" else "model_root"
    if root is None:
        place = f"put it into a folder {name}/ and name the folder above as {key} in the config"
    else:
        place = f"put it into {user_path(root) / name} ({key} of the config)"
    ask = str(entry.get("ask", "it can only be a local copy")).rstrip(". ")
    return f"{ask}; then {place}"
