"""The predictors of all experiments have one interface; `predictor_checks` uses it."""

import inspect

import pytest

from affectlab.audio.predict import AudioProbe
from affectlab.emotion.predict import EmotionClassifier
from affectlab.emotion.predict_multilabel import EmotionMultilabelClassifier
from affectlab.emotion.predict_numbers import EmotionRegressor
from affectlab.entity.predict import GbertPredictor
from affectlab.face.predict import FacePredictor
from affectlab.models.predictor import Predictor
from affectlab.summary.predict import CaseSummarizer

KINDS = (
    *(FacePredictor, GbertPredictor, EmotionClassifier),
    *(EmotionMultilabelClassifier, EmotionRegressor, CaseSummarizer, AudioProbe),
)
# What only one of them has.
OWN = {"onnx", "encoder", "base_model"}


def loads(kind: type[Predictor]) -> type[Predictor]:
    """A place for mypy, too: each class satisfies the protocol."""
    return kind


TYPED = [
    loads(FacePredictor),
    loads(GbertPredictor),
    loads(EmotionClassifier),
    loads(EmotionMultilabelClassifier),
    loads(EmotionRegressor),
    loads(CaseSummarizer),
    loads(AudioProbe),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_predictors_are_loaded_alike(kind):
    wanted = inspect.signature(Predictor.from_directory).parameters
    found = inspect.signature(kind.from_directory).parameters
    assert next(iter(found)) == "path"
    assert found.keys() - OWN == wanted.keys()
    for name, parameter in found.items():
        if name in OWN:
            assert (parameter.kind, parameter.default) == (parameter.KEYWORD_ONLY, None)
        elif (kind, name) == (CaseSummarizer, "precision"):
            # Answers are written in the precision in which the run was evaluated.
            assert parameter.default is None
        else:
            assert parameter.kind == wanted[name].kind
            assert parameter.default == wanted[name].default


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_predictors_take_items_first_and_options_by_name(kind):
    first, *others = list(inspect.signature(kind.predict).parameters.values())[1:]
    assert first.kind is first.POSITIONAL_OR_KEYWORD
    assert all(parameter.default is not parameter.empty for parameter in others)
