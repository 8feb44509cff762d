"""A mirror of the hub on 127.0.0.1 with a data set or models, as `HF_ENDPOINT` may name one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, urlsplit

from local_server import LocalServer, Reply, send, serve


class Mirror(dict[str, Reply]):
    """The replies of the hub's pages for one repository, of data or of a model."""

    def __init__(
        self, repo: str, revision: str, files: Mapping[str, bytes], kind: str = "datasets"
    ) -> None:
        super().__init__()
        self._api = f"/api/{kind}/{repo}"
        self._resolve = f"{'' if kind == 'models' else f'/{kind}'}/{repo}/resolve/{revision}/"
        self._repo, self._revision, self._files = repo, revision, files

    def get(self, path: str, default: Reply | None = None) -> Reply | None:  # type: ignore[override]
        """The reply to a request of *path*."""
        parts = urlsplit(path)
        if parts.path in (self._api, f"{self._api}/revision/{self._revision}"):
            return self._json(self._description())
        tree = f"{self._api}/tree/{self._revision}"
        if parts.path.startswith(tree):
            recursive = parse_qs(parts.query).get("recursive", ["false"])[0].lower() == "true"
            return self._tree(parts.path.removeprefix(tree).strip("/"), recursive)
        if parts.path.startswith(self._resolve):
            return self._file(parts.path.removeprefix(self._resolve))
        return default

    def _description(self) -> object:
        return {
            "_id": "1",
            "id": self._repo,
            "sha": self._revision,
            "private": False,
            "gated": False,
            "disabled": False,
            "tags": [],
            "siblings": [{"rfilename": name} for name in self._files],
        }

    def _tree(self, folder: str, recursive: bool) -> Reply:
        below = [name for name in self._files if not folder or name.startswith(f"{folder}/")]
        if not below:
            return _missing
        found = [self._entry(name) for name in below if recursive or _parent(name) == folder]
        folders = {_child(name, folder) for name in below if _parent(name) != folder}
        found += [{"type": "directory", "oid": _oid(name.encode()), "size": 0, "path": name}
                  for name in sorted(folders)]  # fmt: skip
        return self._json(found)

    def _entry(self, name: str) -> dict[str, object]:
        content = self._files[name]
        return {"type": "file", "oid": _oid(content), "size": len(content), "path": name}

    def _file(self, name: str) -> Reply:
        if name not in self._files:
            return _missing
        content = self._files[name]
        headers = {
            "ETag": f'"{_oid(content)}"',
            "X-Repo-Commit": self._revision,
            "Accept-Ranges": "bytes",
        }

        def reply(handler: BaseHTTPRequestHandler) -> None:
            asked = handler.headers.get("Range")
            if asked is None:
                send(handler, 200, headers | {"Content-Length": str(len(content))}, content)
                return
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(content)), len(content) - 1)
            span = {"Content-Range": f"bytes {start}-{end}/{len(content)}"}
            send(handler, 206, headers | span, content[start : end + 1])

        return reply

    def _json(self, content: object) -> Reply:
        text = json.dumps(content).encode()
        headers = {"Content-Type": "application/json", "X-Repo-Commit": self._revision}
        return lambda handler: send(handler, 200, headers, text)


def _missing(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 404, {"X-Error-Code": "EntryNotFound"})


def _oid(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _parent(name: str) -> str:
    parent = str(PurePosixPath(name).parent)
    return "" if parent == "." else parent


def _child(name: str, folder: str) -> str:
    """The folder right below *folder* on the way to *name*."""
    depth = len(PurePosixPath(folder).parts) if folder else 0
    return str(PurePosixPath(*PurePosixPath(name).parts[: depth + 1]))


@contextmanager
def mirror(repo: str, revision: str, files: Mapping[str, bytes]) -> Iterator[LocalServer]:
    """Serve a data set for the time of a ``with`` block.

    Args:
        repo: owner/name.
        revision: its only commit.
        files: path in the repository -> content.
    """
    with serve() as server:
        server.replies = Mirror(repo, revision, files)
        yield server


class Mirrors(dict[str, Reply]):
    """The replies of several repositories."""

    def __init__(self, *parts: Mirror) -> None:
        super().__init__()
        self._parts = parts

    def get(self, path: str, default: Reply | None = None) -> Reply | None:  # type: ignore[override]
        """The reply to a request of *path*."""
        found = (one.get(path) for one in self._parts)
        return next((reply for reply in found if reply is not None), default)


@contextmanager
def model_mirror(models: Mapping[tuple[str, str], Path]) -> Iterator[LocalServer]:
    """Serve models for the time of a ``with`` block.

    Args:
        models: owner/name and the only commit -> folder with the files.
    """
    with serve() as server:
        server.replies = Mirrors(
            *(
                Mirror(
                    repo,
                    revision,
                    {
                        path.relative_to(folder).as_posix(): path.read_bytes()
                        for path in folder.rglob("*")
                        if path.is_file()
                    },
                    "models",
                )
                for (repo, revision), folder in models.items()
            )
        )
        yield server
