"""The predictor of the entity experiment, `GbertPredictor`, and the predictions of a run."""

from __future__ import annotations

import hashlib
import logging
import random
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from affectlab.entity.corrupt import VARIANTS, corrupted
from affectlab.entity.data import Record, Span, read_data
from affectlab.entity.queries import EntityEmotion, Query, locate
from affectlab.errors import UserError, reading
from affectlab.files.io import sealed_path

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from transformers import PreTrainedModel

    from affectlab.models.devices import Precision

logger = logging.getLogger(__name__)

DEFAULT_BATCH_SIZE = 64


class GbertPredictor:
    """A trained model of the entity experiment.

    Example:
        >>> predictor = GbertPredictor.from_directory("results/entity/spans_minilm/seed13/model")
        >>> predictor.predict("I love this movie!").label
        'love'
        >>> predictor.predict(text="The cat was happy.", span_text="cat").kappa
        51.3
    """

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

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that the model predicts."""
        return self._description.classes

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
            device: see `from_directory`, as for *threads* and *precision*.
            threads: CPU threads.
            precision: of matrix products.

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
        spans = [locate(query, number) for number, query in enumerate(queries, start=first)]
        mu, kappa, logits = self.raw(
            [query.text for query in queries],
            spans,
            batch_size=batch_size,
            names=[f"text {number}" for number in range(first, first + len(queries))],
        )
        probabilities, kappa, decided = self._calibrated(spans, kappa, logits)
        return [
            EntityEmotion(
                label=self.classes[row.argmax()],
                labels=tuple(self.classes[place] for place in (-row).argsort() if chosen[place]),
                probabilities=dict(zip(self.classes, row.tolist(), strict=True)),
                mu=tuple(direction.tolist()),
                kappa=float(concentration),
                span=span,
            )
            for chosen, row, direction, concentration, span in zip(
                decided, probabilities, mu, kappa, spans, strict=True
            )
        ]

    def embed(
        self, texts: Sequence[str], *, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> tuple[np.ndarray, np.ndarray]:
        """Embed whole texts: mu, float32 (n, 64), and kappa, float32 (n,); see `predict`."""
        import numpy as np

        from affectlab.entity.vmf import DIMENSION

        if isinstance(texts, str):
            raise TypeError("expected a sequence of texts, not one string")
        spans = [locate(Query(text), number) for number, text in enumerate(texts, start=1)]
        if not spans:
            return np.empty((0, DIMENSION), np.float32), np.empty(0, np.float32)
        mu, kappa, logits = self.raw(texts, spans, batch_size=batch_size)
        return mu, self._calibrated(spans, kappa, logits)[1].astype("float32")

    def raw(
        self,
        texts: Sequence[str],
        spans: Sequence[Span],
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        network: Callable[..., Any] | None = None,
        names: Sequence[str] | None = None,
    ) -> list[np.ndarray]:
        """Outputs without calibration, one target per text: mu, kappa, logits, or of *network*.

        At least one text. Messages call the targets by *names*, or by their numbers from 1.
        """
        from affectlab.entity.encoding import encode
        from affectlab.entity.model import embed_rows, without_prototypes

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
        self, spans: Sequence[Span], kappa: np.ndarray, logits: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Probabilities (n, K), concentrations (n,) and decisions, bool (n, K)."""
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


def predict_records(
    *,
    records_path: Path,
    description_path: Path,
    model_directory: Path,
    base_model: Path,
    predictions_path: Path,
    corruption_seed: int,
    threads: int,
    fold: int | None,
) -> None:
    """Predict every held-out target, and store the predictions as Parquet.

    Columns: ``id``, ``split``, ``variant`` (`corrupt.VARIANTS`; only the test split is corrupted),
    ``kappa`` without and with calibration, ``probabilities`` (K) without temperature, ``mu`` (64),
    and, for the clean test split, ``pooled``: the pretrained encoder's own mean state.

    Args:
        records_path: the tidy table.
        description_path: what the data set is.
        model_directory: see `model.save_model`.
        base_model: checkpoint directory of the pretrained encoder.
        predictions_path: where the table goes.
        corruption_seed: of typos and left-out words.
        threads: CPU threads.
        fold: of the cross-validation that is held out; None without one.
    """
    import pyarrow as pa
    from pyarrow import parquet

    from affectlab.entity.model import load_encoder
    from affectlab.models.devices import choose_device

    data = read_data(records_path, description_path, fold)
    device = choose_device()
    predictor = GbertPredictor.from_directory(model_directory, device=str(device), threads=threads)
    base = load_encoder(base_model, device=device).eval()
    parts = []
    for split, variant in (("validation", "clean"), *(("test", name) for name in VARIANTS)):
        shown = data.of_split(split)
        if variant != "clean":
            rng = random.Random(corruption_seed)
            shown = [corrupted(record, variant, rng) for record in shown]
        pooled_by = base if (split, variant) == ("test", "clean") else None
        parts.append(_predictions(predictor, shown, split, variant, pooled_by))
    with sealed_path(predictions_path) as temporary:
        parquet.write_table(pa.concat_tables(parts), temporary)


def _predictions(
    predictor: GbertPredictor,
    records: Sequence[Record],
    split: str,
    variant: str,
    pooled_by: PreTrainedModel | None,
) -> pa.Table:
    """The rows of `predict_records` for the targets of *records*."""
    import numpy as np
    import pyarrow as pa
    from scipy.special import softmax

    from affectlab.entity.model import mean_states

    pairs = [(record.text, target) for record in records for target in record.targets]
    texts, spans = [text for text, _ in pairs], [target.span for _, target in pairs]
    ids = [target.id for _, target in pairs]
    logger.info("%d targets of the %s split, %s", len(ids), split, variant)
    names = [f"target {target}, {variant}" for target in ids]
    mu, kappa, logits = predictor.raw(texts, spans, names=names)
    pooled: list[Any] = [None] * len(ids)
    if pooled_by is not None:
        (states,) = predictor.raw(texts, spans, network=mean_states(pooled_by))
        pooled = list(states)
    return pa.table(
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
