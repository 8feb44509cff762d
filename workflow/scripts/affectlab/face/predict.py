"""The predictor of the face experiment, `FacePredictor`, and the predictions of a run.

The two indices are named for what their formulas are made of: sharpness and contrast of the
picture, and how strongly a face is posed. They are published as "IQ" and "EQ", and measure neither:
see `indices`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from affectlab.datasets.description import Description
from affectlab.datasets.media import IMAGES, read_head, sort_files
from affectlab.errors import DataError, UserError, first_line
from affectlab.face.data import read_faces
from affectlab.face.indices import EXPRESSIVITY_NAME, QUALITY_NAME, WARNINGS
from affectlab.face.interface import Interface
from affectlab.face.labels import PROXIES, shown_values
from affectlab.face.photographs import detect_faces, prepare, read_image, with_channels
from affectlab.files.io import folders_below, round_significant, write_jsonl

if TYPE_CHECKING:
    import torch

    from affectlab.face.model import Network
    from affectlab.models.devices import Precision

BATCH_SIZE = 256
DIGITS = 6
MOST_CHANNELS = 4
MOST_PIXELS = 1 << 28
"""Of a photograph that faces are looked for in; OpenCV's detector crashes on 324 million."""


@dataclass(frozen=True, slots=True)
class FaceReading:
    """What a network says of one face image.

    Attributes:
        label: the likeliest class.
        probabilities: of each class.
        valence: -1..1; None of a network that does not regress it.
        arousal: -1..1; None likewise.
        indices: 0..100, by `QUALITY_NAME` and `EXPRESSIVITY_NAME`, see `indices.WARNINGS`; empty
            of a network that does not regress them.
        box: left, top, width and height of the detected face in the photograph, or None.
    """

    label: str
    probabilities: dict[str, float]
    valence: float | None = None
    arousal: float | None = None
    indices: dict[str, float] = field(default_factory=dict)
    box: tuple[int, int, int, int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return everything that there is as JSON data, each index with its warning."""
        found: dict[str, Any] = {"label": self.label, "probabilities": self.probabilities}
        if self.valence is not None:
            found |= {"valence": self.valence, "arousal": self.arousal}
        if self.indices:
            found["indices"] = {
                name: {"value": value, "warning": WARNINGS[name]}
                for name, value in self.indices.items()
            }
        return found | ({} if self.box is None else {"box": list(self.box)})


class FacePredictor:
    """A trained network of the face experiment.

    Attributes:
        classes: names, in the order of the probabilities.

    Example:
        >>> predictor = FacePredictor.from_directory("results/face/compact/seed13/model")
        >>> predictor.predict_file("portrait.jpg", detect=True)[0].label
        'happy'
    """

    def __init__(
        self,
        network: Network,
        interface: Interface,
        test_time: str,
        device: torch.device,
        precision: Precision = "fp32",
    ) -> None:
        from affectlab.models.devices import compute_dtype

        self.classes = interface.classes
        self._network = network
        self._interface = interface
        self._test_time = test_time
        self._device = device
        self._dtype = compute_dtype(precision, device)

    @classmethod
    def from_directory(
        cls,
        path: Path | str,
        *,
        onnx: Path | str | None = None,
        device: str | None = None,
        precision: Precision = "fp32",
        threads: int | None = None,
    ) -> FacePredictor:
        """Load the ``model`` folder of a run.

        Args:
            path: a folder with config.json and model.safetensors.
            onnx: an export of the same network, float32 or int8, to run instead, on the CPU.
            device: PyTorch device; None takes a GPU if there is one.
            precision: of matrix products. ``auto`` takes bfloat16, of about three digits, where
                the device multiplies it faster.
            threads: CPU threads; None leaves PyTorch's choice.

        Raises:
            DataError: no such model or export.
            UserError: an export is to run on another device, or in another precision.
        """
        import torch

        from affectlab.face.model import load_network, read_config
        from affectlab.models import devices

        if threads is not None:
            devices.set_threads(threads)
        if onnx is not None:
            if device not in (None, "cpu"):
                raise UserError(f"{onnx}: an ONNX export runs on the CPU, not on {device}")
            if precision != "fp32":
                raise UserError(f"{onnx}: an ONNX export has its own precision, not {precision}")
            config = read_config(Path(path))
            interface = Interface.of_config(config)
            network = _load_export(Path(onnx), interface, threads or 0)
            return cls(network, interface, config["test_time"], torch.device("cpu"))
        chosen = devices.named_device(device)
        loaded, config = load_network(Path(path))
        test_time = config["test_time"]
        return cls(loaded.to(chosen), loaded.interface, test_time, chosen, precision)

    def predict(
        self, images: np.ndarray | Sequence[np.ndarray], *, batch_size: int = BATCH_SIZE
    ) -> Any:
        """Read one face image, or each of several, in order.

        Args:
            images: one image or several: uint8, grey ``[H, W]`` or ``[H, W, 1]`` or RGB
                ``[H, W, 3]``, of any size, each showing one face. An array of three axes whose
                last is at most `MOST_CHANNELS` long is one image.
            batch_size: images per pass.

        Returns:
            The `FaceReading` of one image; of several a list of them.

        Raises:
            UserError: not such images.
            TypeError: a path in place of images.
            ValueError: *batch_size* is below 1.
        """
        if isinstance(images, str | bytes | PathLike):
            raise TypeError("expected arrays; predict_file and predict_folder read files")
        if isinstance(images, np.ndarray) and _is_single(images):
            return self._predict([images], batch_size)[0]
        return self._predict(list(images), batch_size)

    def _predict(
        self, images: Sequence[np.ndarray], batch_size: int = BATCH_SIZE
    ) -> list[FaceReading]:
        from affectlab.face.model import predict_images

        if not images:
            return []
        side, color = self._interface.side, self._interface.color
        small = np.stack([prepare(np.asarray(image), side, color=color) for image in images])
        probabilities, regressed = predict_images(
            self._network,
            small,
            interface=self._interface,
            test_time=self._test_time,
            batch_size=batch_size,
            device=self._device,
            dtype=self._dtype,
        )
        if not (np.isfinite(probabilities).all() and np.isfinite(regressed).all()):
            raise UserError("the network gives no finite numbers: its weights are corrupt")
        return _readings(probabilities, regressed, self._interface)

    def predict_file(self, path: Path | str, *, detect: bool = False) -> list[FaceReading]:
        """Read an image file: one face that fills it, or with *detect* each face that is found.

        Raises:
            DataError: no image file, or one that is too large to find faces in.
        """
        image = read_image(path, color=self._interface.color)
        if not detect:
            return self._predict([image])
        height, width = image.shape[:2]
        if height * width > MOST_PIXELS:
            problem = f"{width} x {height} pixels; faces are found in at most {MOST_PIXELS:,}"
            raise DataError(path, None, problem)
        boxes = detect_faces(with_channels(image, color=False))
        crops = [
            image[top : top + height, left : left + width] for left, top, width, height in boxes
        ]
        found = zip(self._predict(crops), boxes, strict=True)
        return [replace(reading, box=box) for reading, box in found]

    def predict_folder(
        self,
        folder: Path | str,
        *,
        detect: bool = False,
        on_bad: Callable[[DataError], None] | None = None,
    ) -> Iterator[tuple[Path, list[FaceReading]]]:
        """Read every image file below *folder*, in the order of their names.

        Images are what `affectlab.datasets.media.IMAGES` takes for one, by ending or by content.
        Hidden files and folders are passed over.

        Args:
            folder: holds the images.
            detect: as of `predict_file`.
            on_bad: gets the error of each image or folder that cannot be read, among them formats
                that must be converted first; None raises the first one.

        Raises:
            DataError: no such folder, one without images, or an image cannot be read and *on_bad*
                is None.
        """
        root = Path(folder)
        if not root.is_dir():
            raise DataError(root, None, "no such folder")
        names = sorted(
            (below / name).relative_to(root).as_posix()
            for below, found in folders_below(root, on_bad)
            for name in found
        )
        images = sort_files(IMAGES, names, lambda name: read_head(root / name))
        if not images.read and not images.unread:
            raise DataError(root, None, f"no images ({', '.join(IMAGES.endings)})")
        advice = dict(images.unread)
        for name in sorted([*images.read, *advice]):
            try:
                if name in advice:
                    raise DataError(root / name, None, advice[name])
                readings = self.predict_file(root / name, detect=detect)
            except DataError as error:
                if on_bad is None:
                    raise
                on_bad(error)
            else:
                yield root / name, readings


def _load_export(path: Path, interface: Interface, threads: int) -> Network:
    """The network in an ONNX export; *threads* as for `models.onnx_export.onnx_inference`.

    Raises:
        DataError: no such file, no ONNX network, or one with other inputs or outputs.
    """
    from affectlab.face.model import as_network
    from affectlab.models.onnx_export import onnx_inference

    infer = onnx_inference(path, threads)
    black = np.zeros((1, interface.channels, interface.side, interface.side), np.float32)
    outputs = sum(interface.sizes)
    try:
        found = infer(black).shape
    except Exception as error:
        # The errors of ONNX Runtime have no class in common.
        problem = f"not an export of the face experiment: {first_line(error)}"
        raise DataError(path, None, problem) from error
    if found != (1, outputs):
        problem = (
            f"not an export of the face experiment: expected {outputs} outputs, found {found[1:]}"
        )
        raise DataError(path, None, problem)
    return as_network(infer)


def _is_single(images: np.ndarray) -> bool:
    """Whether an array is to be one image: right or not, for `prepare` to tell."""
    return images.ndim not in (3, 4) or (images.ndim == 3 and images.shape[2] <= MOST_CHANNELS)


def predict_corpus(
    *,
    faces_path: Path,
    metadata_path: Path,
    description: Description,
    fold: int | None,
    model_directory: Path,
    predictions_path: Path,
    splits: Sequence[str],
    threads: int,
) -> None:
    """Store what a network says of every labelled image of *splits*, one JSON object a line.

    Of a cross-validation these are the splits that *fold* has.

    Raises:
        DataError: an input is corrupt.
        UserError: a split has no labelled images.
    """
    from affectlab.face.data import require_images
    from affectlab.face.model import load_network, predict_images
    from affectlab.models import devices

    faces = read_faces(faces_path, metadata_path, description, fold)
    devices.set_threads(threads)
    device = devices.choose_device()
    network, config = load_network(model_directory)
    interface = network.interface
    rows = np.concatenate([require_images(faces, split, metadata_path) for split in splits])
    probabilities, regressed = predict_images(
        network.to(device),
        faces.images[rows],
        interface=interface,
        test_time=config["test_time"],
        batch_size=BATCH_SIZE,
        device=device,
    )

    def lines() -> Iterator[dict[str, Any]]:
        for row, shares, values in zip(rows, probabilities, regressed, strict=True):
            yield {
                "id": faces.paths[row],
                "split": str(faces.splits[row]),
                "label": str(faces.emotions[row]),
                "prediction": interface.classes[int(shares.argmax())],
                "probabilities": dict(zip(interface.classes, _rounded(shares), strict=True)),
                **dict(zip(interface.regressed, _rounded(values), strict=True)),
            }

    write_jsonl(predictions_path, lines(), sealed=True)


def _rounded(values: np.ndarray) -> list[float]:
    return [round_significant(float(value), DIGITS) for value in values]


def _readings(
    probabilities: np.ndarray, regressed: np.ndarray, interface: Interface
) -> list[FaceReading]:
    values = dict(zip(interface.regressed, regressed.T, strict=True))
    if set(PROXIES) <= values.keys():
        raw = (values.pop(name) for name in PROXIES)
        values |= dict(zip((QUALITY_NAME, EXPRESSIVITY_NAME), shown_values(*raw), strict=True))
    rows = (
        zip(*map(_rounded, values.values()), strict=True) if values else [()] * len(probabilities)
    )
    readings = []
    for shares, row in zip(probabilities, rows, strict=True):
        named = dict(zip(values, row, strict=True))
        valence, arousal = named.pop("valence", None), named.pop("arousal", None)
        readings.append(
            FaceReading(
                label=interface.classes[int(shares.argmax())],
                probabilities=dict(zip(interface.classes, _rounded(shares), strict=True)),
                valence=valence,
                arousal=arousal,
                indices=named,
            )
        )
    return readings
