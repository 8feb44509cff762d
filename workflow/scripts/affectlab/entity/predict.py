"""The predictor of the entity experiment, `GbertPredictor`, and the predictions of a run."""

from __future__ import annotations

import hashlib
import logging
import operator
import random
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from affectlab.datasets.texts import form_of, places_of
from affectlab.entity.labels import CLASSES
from affectlab.errors import UserError, reading
from affectlab.files.io import atomic_path, sealed_path
from affectlab.files.text import is_encodable

if TYPE_CHECKING:
    import numpy as np

    from affectlab.entity.data import Record
    from affectlab.models.devices import Precision

logger = logging.getLogger(__name__)

DEFAULT_BATCH_SIZE = 64
FINGERPRINT_KEY = "affectlab.entity.model"
"""Key of `GbertPredictor.fingerprint` in the metadata of a table of embeddings."""

EMBEDDED_TOGETHER = 8192
"""Texts whose tokens and answers `write_embeddings` holds at once (about 90 MB)."""

VARIANTS = ("clean", "typos", "dropout")
"""The test split as it is, and twice corrupted: see `corrupt`."""


class Query(NamedTuple):
    """A text, and perhaps a span in it: its words and, where they stand more than once, where."""

    text: str
    span_text: str | None = None
    char_start: int | None = None


@dataclass(frozen=True, slots=True)
class EntityEmotion:
    """What a model says of a text or of a span in it.

    Attributes:
        label: the likeliest class.
        labels: the classes decided on, likeliest first: where the model learnt whole texts, each
            class of one that reaches its threshold; of anything else the likeliest alone.
        probabilities: of all 28 classes.
        mu: mean direction of the embedding, 64 numbers of unit length.
        kappa: its concentration: how near mu is to the directions of its classes, by the model.
        span: offsets of the span, None for the whole text.
    """

    label: str
    labels: tuple[str, ...]
    probabilities: dict[str, float]
    mu: tuple[float, ...]
    kappa: float
    span: tuple[int, int] | None

    def top(self, k: int) -> list[tuple[str, float]]:
        """The *k* likeliest classes with their probabilities, likeliest first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:k]

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-able values."""
        return {
            "label": self.label,
            "labels": list(self.labels),
            "top": [[name, value] for name, value in self.top(3)],
            "kappa": self.kappa,
            "mu": list(self.mu),
            "probabilities": self.probabilities,
            "span": None if self.span is None else list(self.span),
        }


class GbertPredictor:
    """A trained model of the entity experiment.

    Example:
        >>> predictor = GbertPredictor.from_directory("results/entity/spans_minilm/seed13/model")
        >>> predictor.predict("I love this movie!").label
        'love'
        >>> predictor.predict(text="The cat was happy.", span_text="cat").kappa
        51.3
    """

    classes: tuple[str, ...] = CLASSES

    def __init__(
        self,
        network: Any,
        tokenizer: Any,
        description: Any,
        device: Any,
        precision: Precision = "fp32",
    ) -> None:
        from affectlab.models.devices import compute_dtype

        self._network = network
        self._tokenizer = tokenizer
        self._description = description
        self._device = device
        self._dtype = compute_dtype(precision, device)

    @classmethod
    def from_directory(
        cls,
        path: Path | str,
        *,
        device: str | None = None,
        precision: Precision = "fp32",
        threads: int | None = None,
    ) -> GbertPredictor:
        """Load the ``model`` directory of a run.

        Args:
            path: the directory.
            device: a PyTorch device name; the GPU if there is one, by default.
            precision: of matrix products. ``auto`` takes bfloat16, of about three digits, where
                the device multiplies it faster.
            threads: CPU threads; PyTorch's own choice by default.

        Raises:
            UserError: no such directory, or not a model of this experiment.
        """
        return cls.from_checkpoint(path, device=device, precision=precision, threads=threads)

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint_path: Path | str,
        model_name: Path | str | None = None,
        device: str | None = None,
        *,
        threads: int | None = None,
        precision: Precision = "fp32",
    ) -> GbertPredictor:
        """Load a model, as `from_directory` does, or a checkpoint of the original project.

        The name and the order of arguments are those of the original project.

        Args:
            checkpoint_path: the ``model`` directory of a run, or an original ``best_model.pt``.
            model_name: directory of the pretrained encoder; an original checkpoint needs it, a
                model directory holds its own.
            device: a PyTorch device name; the GPU if there is one, by default.
            threads: CPU threads; PyTorch's own choice by default.
            precision: of matrix products. ``auto`` takes bfloat16, of about three digits, where
                the device multiplies it faster.

        Raises:
            UserError: no such checkpoint, or not one of this experiment.
        """

        from affectlab.entity.model import load_model
        from affectlab.entity.original import load_original
        from affectlab.models.devices import named_device, set_threads

        if threads is not None:
            set_threads(threads)
        chosen = named_device(device)
        path = Path(checkpoint_path)
        if path.is_dir():
            predictor = cls(*load_model(path, device=chosen), chosen, precision)
            with reading(path, "a model of the entity experiment whose files fit each other"):
                # A whole text, and a span in a longer one, for which the last layer is cut short.
                predictor.predict(["a", Query("words before a span and after it", "a span")])
            return predictor
        if not path.is_file():
            raise UserError(f"{path}: no such checkpoint")
        if model_name is None:
            raise UserError(
                f"{path}: an original checkpoint lacks encoder and tokenizer; name the folder of "
                "its pretrained encoder (model_name, --encoder)"
            )
        return cls(*load_original(path, Path(model_name), device=chosen), chosen, precision)

    def fingerprint(self) -> str:
        """SHA-256 of the heads' weights: tells embeddings of one model from those of another."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._network.heads.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().numpy().tobytes())
        return digest.hexdigest()

    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        text: str | Query,
        span_text: str | None = ...,
        char_start: int | None = ...,
        *,
        batch_size: int = ...,
        first: int = ...,
    ) -> EntityEmotion: ...

    @overload
    def predict(
        self,
        text: Sequence[str | Query | tuple[Any, ...]],
        *,
        batch_size: int = ...,
        first: int = ...,
    ) -> list[EntityEmotion]: ...

    def predict(
        self,
        text: str | Query | Sequence[str | Query | tuple[Any, ...]],
        span_text: str | None = None,
        char_start: int | None = None,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        first: int = 1,
    ) -> EntityEmotion | list[EntityEmotion]:
        """Predict the emotions of a text, of a span in it, or of each of several, in order.

        A span that is in the text more than once needs *char_start*; without it the first one is
        taken, with a warning. Of a whole text that is longer than the model reads, the beginning
        is read, with a warning. Spans of one text share one encoder pass.

        Args:
            text: a text or a `Query`; or a sequence of texts, of `Query`, or of tuples of its
                fields.
            span_text: the span in a single text; None for the whole text.
            char_start: where the span starts.
            batch_size: texts per encoder pass.
            first: number of the first text, in messages.

        Raises:
            UserError: a text is empty or no text, a span is not in its text or longer than the
                model reads; names the text by its number.
            TypeError: *span_text* or *char_start* is given for several texts.
        """
        if isinstance(text, str | Query) or not isinstance(text, Iterable):
            query = text if isinstance(text, Query) else Query(text, span_text, char_start)
            return self._predict([query], batch_size, first)[0]
        if span_text is not None or char_start is not None:
            raise TypeError("span_text and char_start go with one text; give several as tuples")
        queries = [Query(*one) if isinstance(one, tuple | list) else Query(one) for one in text]
        return self._predict(queries, batch_size, first)

    def _predict(
        self, queries: Sequence[Query], batch_size: int, first: int
    ) -> list[EntityEmotion]:
        if not queries:
            return []
        spans = [_locate(query, number) for number, query in enumerate(queries, start=first)]
        names = [f"text {number}" for number in range(first, first + len(queries))]
        return self._answers([query.text for query in queries], spans, batch_size, names)

    def embed(
        self, texts: Sequence[str], *, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> tuple[np.ndarray, np.ndarray]:
        """Embed whole texts: mu, float32 (n, 64), and kappa, float32 (n,); see `predict`."""
        import numpy as np

        from affectlab.entity.vmf import DIMENSION

        if isinstance(texts, str):
            raise TypeError("expected a sequence of texts, not one string")
        for number, text in enumerate(texts, start=1):
            _locate(Query(text), number)
        if len(texts) == 0:
            return np.empty((0, DIMENSION), np.float32), np.empty(0, np.float32)
        spans = [None] * len(texts)
        mu, kappa, logits = self.raw(texts, spans, batch_size=batch_size)
        return mu, self._calibrated(spans, kappa, logits)[1].astype("float32")

    def raw(
        self,
        texts: Sequence[str],
        spans: Sequence[tuple[int, int] | None],
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        network: Callable[..., Any] | None = None,
        names: Sequence[str] | None = None,
    ) -> list[np.ndarray]:
        """Outputs without calibration, one target per text: mu, kappa, logits, or of *network*.

        At least one text. Messages call the targets by *names*, or by their numbers from 1.
        """

        from affectlab.entity.model import embed_rows, encode, without_prototypes

        places: dict[str, list[int]] = {}
        for place, text in enumerate(texts):
            places.setdefault(text, []).append(place)
        order = [place for same in places.values() for place in same]
        called = [names[place] if names else f"text {place + 1}" for place in order]
        rows, cut = encode(
            self._tokenizer,
            list(places),
            [[spans[place] for place in same] for same in places.values()],
            max_length=self._description.max_length,
            names=called,
        )
        if cut:
            more = f" (as {len(cut) - 1} more)" if len(cut) > 1 else ""
            warnings.warn(
                f"{called[cut[0]]}: longer than the model's {self._description.max_length} tokens, "
                f"so its end was not read{more}",
                stacklevel=2,
            )
        columns = embed_rows(
            network or without_prototypes(self._network),
            rows,
            pad_id=self._tokenizer.pad_token_id,
            batch_size=batch_size,
            dtype=self._dtype,
            device=self._device,
        )
        back = sorted(range(len(order)), key=order.__getitem__)
        return [column[back] for column in columns]

    def _calibrated(
        self, spans: Sequence[tuple[int, int] | None], kappa: np.ndarray, logits: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Probabilities (n, 28), concentrations (n,) and decisions, bool (n, 28)."""
        import numpy as np
        from scipy.special import softmax

        from affectlab.entity.decisions import calibrated, decided_classes

        probabilities = softmax(logits.astype("float64"), axis=1)
        kappa = kappa.astype("float64")
        decided = np.zeros(probabilities.shape, dtype=bool)
        prototypes = self._network.heads.directions().detach().cpu().double().numpy()
        whole = np.array([span is None for span in spans])
        stored = self._description.calibration or {}
        for kind, chosen in (("texts", whole), ("spans", ~whole)):
            calibration = stored.get(kind)
            probabilities[chosen], kappa[chosen] = calibrated(
                calibration,
                kappa=kappa[chosen],
                probabilities=probabilities[chosen],
                prototypes=prototypes,
            )
            decided[chosen] = decided_classes(
                probabilities[chosen], calibration and calibration["thresholds"]
            )
        return probabilities, kappa, decided

    def _answers(
        self,
        texts: Sequence[str],
        spans: Sequence[tuple[int, int] | None],
        batch_size: int,
        names: Sequence[str],
    ) -> list[EntityEmotion]:
        mu, kappa, logits = self.raw(texts, spans, batch_size=batch_size, names=names)
        probabilities, kappa, decided = self._calibrated(spans, kappa, logits)
        return [
            EntityEmotion(
                label=CLASSES[row.argmax()],
                labels=tuple(CLASSES[place] for place in (-row).argsort() if chosen[place]),
                probabilities=dict(zip(CLASSES, row.tolist(), strict=True)),
                mu=tuple(direction.tolist()),
                kappa=float(concentration),
                span=span,
            )
            for chosen, row, direction, concentration, span in zip(
                decided, probabilities, mu, kappa, spans, strict=True
            )
        ]


def _locate(query: Query, number: int) -> tuple[int, int] | None:
    """Offsets of a query's span, None for the whole text."""
    text, span_text, char_start = query
    if not isinstance(text, str):
        raise UserError(f"text {number}: expected a string, found {type(text).__name__}")
    if not text.strip():
        raise UserError(f"text {number}: is empty")
    if not is_encodable(text):
        raise UserError(f"text {number}: holds half a surrogate pair, expected valid Unicode")
    if span_text is None:
        if char_start is not None:
            raise UserError(f"text {number}: char_start without span_text")
        return None
    if not isinstance(span_text, str):
        raise UserError(f"text {number}: span_text is no string, but {type(span_text).__name__}")
    if not span_text.strip():
        raise UserError(f"text {number}: the span is empty")
    if char_start is not None:
        first = _whole_number(char_start)
        if first is None:
            raise UserError(f"text {number}: char_start {char_start!r} is no whole number")
        if first < 0 or text[first : first + len(span_text)] != span_text:
            problem = f"{span_text!r} does not stand at {first}"
            raise UserError(f"text {number}: {problem}{_form_hint(span_text, text)}")
        return first, first + len(span_text)
    places = places_of(text, span_text)
    if not places:
        problem = f"{span_text!r} is not in the text"
        raise UserError(f"text {number}: {problem}{_form_hint(span_text, text)}")
    first = places[0]
    if len(places) > 1:
        warnings.warn(
            f"text {number}: {span_text!r} stands in the text more than once; the first one is "
            "taken, give char_start to choose",
            stacklevel=4,
        )
    return first, first + len(span_text)


def _form_hint(span_text: str, text: str) -> str:
    """The end of a message about a span that is not found."""
    form = form_of(span_text, text)
    return f"; it is there {form}: write it as in the text" if form else ""


def _whole_number(value: Any) -> int | None:
    """An integer of any kind, such as numpy's, as Python's own; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def predict_records(
    *,
    records_path: Path,
    model_directory: Path,
    base_model: Path,
    predictions_path: Path,
    corruption_seed: int,
    threads: int,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> None:
    """Store what a model says of every held-out target, as Parquet.

    Columns: ``id``, ``split``, ``variant`` (`VARIANTS`; only the test split is corrupted),
    ``kappa`` without and with calibration, ``probabilities`` (28) without temperature, ``mu`` (64),
    and, for the clean test split, ``pooled``: the pretrained encoder's own mean state.

    Args:
        records_path: the tidy table.
        model_directory: see `model.save_model`.
        base_model: checkpoint directory of the pretrained encoder.
        predictions_path: where the table goes.
        corruption_seed: of typos and left-out words.
        threads: CPU threads.
        batch_size: texts per encoder pass.
    """
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet
    from scipy.special import softmax

    from affectlab.entity.data import of_split, read_records
    from affectlab.entity.model import load_encoder, mean_states
    from affectlab.models.devices import choose_device

    records = read_records(records_path)
    device = choose_device()
    predictor = GbertPredictor.from_directory(model_directory, device=str(device), threads=threads)
    base = load_encoder(base_model, device=device).eval()
    parts = []
    for split, variant in (("validation", "clean"), *(("test", name) for name in VARIANTS)):
        ids, texts, spans = _targets_as_queries(
            of_split(records, split), variant, random.Random(corruption_seed)
        )
        logger.info("%d targets of the %s split, %s", len(ids), split, variant)
        names = [f"target {target}, {variant}" for target in ids]
        mu, kappa, logits = predictor.raw(texts, spans, batch_size=batch_size, names=names)
        pooled: list[Any] = [None] * len(ids)
        if (split, variant) == ("test", "clean"):
            (states,) = predictor.raw(
                texts, spans, batch_size=batch_size, network=mean_states(base)
            )
            pooled = list(states)
        parts.append(
            pa.table(
                {
                    "id": ids,
                    "split": [split] * len(ids),
                    "variant": [variant] * len(ids),
                    "kappa_raw": kappa.astype(np.float64),
                    "kappa": predictor._calibrated(spans, kappa, logits)[1],
                    "probabilities": list(softmax(logits.astype(np.float64), axis=1)),
                    "mu": pa.array(list(mu), pa.list_(pa.float32())),
                    "pooled": pa.array(pooled, pa.list_(pa.float32())),
                }
            )
        )
    with sealed_path(predictions_path) as temporary:
        parquet.write_table(pa.concat_tables(parts), temporary)


def _targets_as_queries(
    records: Sequence[Record], variant: str, rng: random.Random
) -> tuple[list[str], list[str], list[tuple[int, int] | None]]:
    """Ids, texts and spans of all targets, the texts corrupted as *variant* says."""
    from affectlab.entity.corrupt import corrupted

    ids: list[str] = []
    texts: list[str] = []
    spans: list[tuple[int, int] | None] = []
    for record in records:
        shown = record if variant == "clean" else corrupted(record, variant, rng)
        for target in shown.targets:
            ids.append(target.id)
            texts.append(shown.text)
            spans.append(target.span)
    return ids, texts, spans


def write_embeddings(
    predictor: GbertPredictor, texts: Sequence[str], path: Path, *, batch_size: int
) -> None:
    """Embed whole texts and write a Parquet table for a retrieval system.

    Columns: ``text``, ``mu`` (fixed list of 64 float32, unit length: the inner product is the
    cosine), ``kappa``, ``label``. The file's metadata name the model (`FINGERPRINT_KEY`).

    Raises:
        UserError: a text is empty or no text (before any is embedded), or the file cannot be
            written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    from affectlab.entity.vmf import DIMENSION

    schema = pa.schema(
        {
            "text": pa.string(),
            "mu": pa.list_(pa.float32(), DIMENSION),
            "kappa": pa.float32(),
            "label": pa.string(),
        },
        metadata={FINGERPRINT_KEY: predictor.fingerprint()},
    )
    for number, text in enumerate(texts, start=1):
        _locate(Query(text), number)
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for start in range(0, len(texts), EMBEDDED_TOGETHER):
            part = list(texts[start : start + EMBEDDED_TOGETHER])
            answers = predictor.predict(part, batch_size=batch_size, first=start + 1)
            columns = {
                "text": part,
                "mu": [answer.mu for answer in answers],
                "kappa": [answer.kappa for answer in answers],
                "label": [answer.label for answer in answers],
            }
            writer.write_table(pa.table(columns, schema=schema))


def nearest(
    predictor: GbertPredictor,
    path: Path,
    texts: Sequence[str],
    k: int,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> list[list[dict[str, Any]]]:
    """For each of *texts* the *k* rows of a table of `write_embeddings` with the largest cosine.

    Exact search, which at 64 numbers a text needs no index. Of a table that does not say which
    model made it, as one that other software wrote anew, a warning is given.

    Raises:
        UserError: the file is no such table, or is corrupted, or another model wrote it: the
            directions of two models have nothing to do with each other.
    """
    import numpy as np
    import pyarrow
    from pyarrow import parquet

    from affectlab.entity.vmf import DIMENSION

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        table = parquet.read_table(path, columns=["text", "label", "mu"])
        table.validate(full=True)
        mu = table["mu"].cast(pyarrow.list_(pyarrow.float32(), DIMENSION)).combine_chunks()
        known = mu.flatten().to_numpy().reshape(len(table), DIMENSION)
        stored, labels = table["text"], table["label"]
        if not np.isfinite(known).all():
            raise ValueError("mu holds what is no finite number")
    except (OSError, KeyError, ValueError, pyarrow.ArrowException) as error:
        raise UserError(f"{path}: not a table written by `affectlab embed`: {error}") from error
    writer = (table.schema.metadata or {}).get(FINGERPRINT_KEY.encode())
    if writer is None:
        warnings.warn(
            f"{path}: does not say which model made these embeddings; if it was another one, the "
            "cosines mean nothing",
            stacklevel=2,
        )
    elif writer != predictor.fingerprint().encode():
        raise UserError(f"{path}: these are embeddings by another model; embed the texts again")
    found = []
    for direction in predictor.embed(texts, batch_size=batch_size)[0]:
        cosines = known @ direction
        best = largest(cosines, k)
        found.append(
            [
                {
                    "text": stored[int(place)].as_py(),
                    "label": labels[int(place)].as_py(),
                    "cosine": float(cosines[place]),
                }
                for place in best
            ]
        )
    return found


def largest(values: np.ndarray, k: int) -> np.ndarray:
    """Places of the *k* largest of *values* (n,), largest first, equal ones in their order."""
    import numpy as np

    if k < len(values):
        # All that reach the k-th largest: more than k where values are equal.
        least = np.partition(values, len(values) - k)[len(values) - k]
        places = np.flatnonzero(values >= least)
    else:
        places = np.arange(len(values))
    return places[np.argsort(-values[places], kind="stable")][:k]
