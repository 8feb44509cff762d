"""The search for mutations of which a reader makes something else than a `UserError`.

200 mutations for each reader, and 20 for those that load a larger model; or, for all of them, as
many as ``AFFECTLAB_FUZZ`` asks for (`make nightly`: 5,000). The same mutations every time. With
``AFFECTLAB_FUZZ_REPORT``, a file gets one line a reader: mutations, refusals and escapes, and the
kinds of the escapes; then the search does not stop at the first.
"""

import os
import shutil
import traceback
import warnings
from collections import Counter
from pathlib import Path

import pytest
from fuzz.mutations import MUTATIONS, Mutation, mutated
from fuzz.readers import Reader
from hypothesis import HealthCheck, given, settings

from affectlab.errors import UserError

ASKED = os.environ.get("AFFECTLAB_FUZZ")
REPORT = os.environ.get("AFFECTLAB_FUZZ_REPORT")
NAMES = (
    *(
        "x",
        "",
        "\udcff",
        "é",
        "-",
        "03-01-09-01-01-01-01.wav",
        "03-01-01-01-01-01-99.wav",
        "x" * 240,
    ),
    *(
        "03-01-٠١-01-01-01-01.wav",
        "03a01X.wav",
        "٠٣a01Fa.wav",
        "03a01Fa.WAV",
        "a\nb.wav",
        "{0}.wav",
    ),
    *(
        "03-01-01-01-01-01-01\udce4.wav",
        "03a01Fa\udce4.wav",
        "new_label.txt",
        "t_٣",
        "PrivateTest_\udcff.jpg",
    ),
)


class EscapeError(Exception):
    """Something else than a `UserError` came out of a reader."""


class Bench:
    """A folder with a valid input, which is changed, read and put back."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.reader = reader
        self.folder = folder
        reader.build(folder)
        # Whoever changes a file can change the sum that is kept with it.
        for kept in (*folder.rglob(".*.sha256"), *folder.rglob("SHA256SUMS")):
            kept.unlink()
        self.paths = sorted(path for path in folder.glob(reader.changed) if path.is_file())
        assert self.paths, f"{reader.name}: nothing to change"
        self.contents = {path: path.read_bytes() for path in self.paths}
        self.tried = self.refused = 0
        self.escapes: Counter[str] = Counter()

    def check(self, mutation: Mutation) -> None:
        """Read the input after one mutation."""
        path = self.paths[mutation.file % len(self.paths)]
        if self.reader.renamed:
            self._renamed(path, mutation)
            return
        path.write_bytes(mutated(path, self.contents[path], mutation))
        try:
            self._read()
        finally:
            path.write_bytes(self.contents[path])

    def _renamed(self, path: Path, mutation: Mutation) -> None:
        change = mutation.changes[0]
        name = NAMES[change.value % len(NAMES)]
        if mutation.structured or not name:
            place = change.place % len(path.name)
            name = f"{path.name[:place]}{name}{path.name[place + change.kind % 3 :]}"
        # Of a folder as often as of a file.
        moved = path.parent if change.kind % 2 and path.parent.parent != self.folder else path
        target = moved.with_name(name.replace("/", "")[:250] or "y")
        if target.exists() or len(os.fsencode(target.name)) > 250:
            return
        moved.rename(target)
        try:
            self._read()
        finally:
            target.rename(moved)

    def _read(self) -> None:
        self.tried += 1
        try:
            self.reader.read(self.folder)
        except UserError as error:
            self.refused += 1
            # A message that cannot be printed is none.
            str(error).encode(errors="surrogateescape")
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)
            own = next((f for f in reversed(frame) if "affectlab" in f.filename), frame[-1])
            kind = f"{type(error).__name__} at {Path(own.filename).name}:{own.lineno} {own.name}"
            self.escapes[f"{kind}: {str(error)[:80]!r}"] += 1
            if not REPORT:
                raise EscapeError(kind) from error


def search_reader(name: str, reader: Reader, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if anything but a `UserError` escapes from *reader*."""
    # What is written is read at once; that it is on the disk is of no use here.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    examples = int(ASKED) if ASKED else 20 if reader.slow else 200
    bench = Bench(reader, folder)
    # The input itself is valid: what is refused below is refused for its mutation.
    bench.reader.read(folder)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(MUTATIONS)
    def search(mutation: Mutation) -> None:
        bench.check(mutation)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search()
    if REPORT:
        with Path(REPORT).open("a", encoding="utf-8") as stream:
            escaped = sum(bench.escapes.values())
            stream.write(
                f"{name}: {bench.tried} tried, {bench.refused} refused, {escaped} escaped\n"
            )
            for kind, count in bench.escapes.most_common(30):
                stream.write(f"    {count} x {kind}\n")
    shutil.rmtree(folder)
    assert not bench.escapes
    assert bench.tried >= examples // 2, "most mutations did not reach the reader"
