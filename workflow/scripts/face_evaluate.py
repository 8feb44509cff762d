"""Score a run's stored predictions: metrics, run record, figures."""

from pathlib import Path

from affectlab.config.models import Bootstrap, typed
from affectlab.datasets.description import read_description
from affectlab.evaluation.records import ScoredRun
from affectlab.face.data import read_faces
from affectlab.face.evaluate import evaluate
from affectlab.face.labels import labels_of
from affectlab.face.scored_data import ScoredData
from affectlab.face.settings import FaceRun
from affectlab.files.logs import configure_logging

configure_logging(snakemake.log[0])
paths = snakemake.input
faces = read_faces(paths.faces, paths.metadata, read_description(paths.description))
labels = labels_of(faces, paths.get("labels") or None)
blur, outside, subgroups = (paths.get(name) for name in ("blur", "outside", "subgroups"))
evaluate(
    ScoredRun(
        name=snakemake.wildcards.run,
        seed=int(snakemake.wildcards.seed),
        recipe=typed(FaceRun, snakemake.params.recipe),
        bootstrap=typed(Bootstrap, snakemake.params.bootstrap),
        threads=snakemake.threads,
        training_path=paths.get("training") or None,
        manifest_path=paths.get("model") or None,
        metrics_path=snakemake.output.metrics,
        metrics_schema=paths.metrics_schema,
        run_path=snakemake.output.run,
        run_schema=paths.run_schema,
    ),
    predictions_path=Path(paths.predictions),
    data=ScoredData(faces, labels, Path(paths.metadata)),
    data_paths=(Path(paths.faces), Path(paths.metadata)),
    audit_path=Path(paths.audit),
    blur_path=Path(blur) if blur else None,
    outside_path=Path(outside) if outside else None,
    result_split=snakemake.params.result_split,
    figures=Path(snakemake.output.confusion_matrix).parent,
    subgroups_path=Path(subgroups) if subgroups else None,
)
