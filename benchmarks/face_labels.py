"""The label step of the face experiment against a plain loop over image files.

    python benchmarks/face_labels.py FACES.npy METADATA.csv [--threads 2]

Ours is `face.labels.write_labels` as the rule runs it, files read and written included. The peer
reads each image with `cv2.imread` (the images are written to a temporary folder first, unmeasured),
computes all three features, and writes nothing. Ours leaves Canny's edges out for images whose
labels do not depend on them: every image with a known class or vote.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from affectlab.face.labels import CANNY_THRESHOLDS, write_labels
from affectlab.face.settings import Labels

ROUNDS = 3


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("faces", type=Path)
    parser.add_argument("metadata", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    images = np.load(options.faces)
    ours, plain = [], []
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / f"{row}.jpg") for row in range(len(images))]
        for name, image in zip(files, images, strict=True):
            cv2.imwrite(name, image)
        for _ in range(ROUNDS):
            started = time.perf_counter()
            write_labels(
                faces_path=options.faces,
                metadata_path=options.metadata,
                labels_path=Path(folder) / "labels.csv",
                settings=Labels(),
                threads=options.threads,
            )
            ours.append(time.perf_counter() - started)
            started = time.perf_counter()
            for name in files:
                image = cv2.imread(name, cv2.IMREAD_GRAYSCALE)
                cv2.Laplacian(image, cv2.CV_64F).var()
                image.std()
                (cv2.Canny(image, *CANNY_THRESHOLDS) > 0).mean()
            plain.append(time.perf_counter() - started)
    print(
        json.dumps(
            {
                "images": len(images),
                "threads": options.threads,
                "ours_images_per_second": round(len(images) / min(ours)),
                "plain_images_per_second": round(len(images) / min(plain)),
                "ratio": round(min(plain) / min(ours), 2),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
