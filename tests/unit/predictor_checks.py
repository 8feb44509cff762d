"""What the predictor of every experiment does alike; their tests call it with tiny models."""

import json

from affectlab.models.predictor import Predictor, Result


def check_predictor(kind, directory, items, **options):
    """Load a predictor, and predict one item, several, and none."""
    predictor = kind.from_directory(directory, device="cpu", precision="fp32", threads=1, **options)
    assert isinstance(predictor, Predictor)
    several = predictor.predict(items)
    assert isinstance(several, list)
    assert len(several) == len(items) > 1
    assert all(isinstance(result, Result) for result in several)
    told = [result.to_dict() for result in several]
    assert json.loads(json.dumps(told)) == told
    alone = predictor.predict(items[0])
    assert isinstance(alone, Result)
    assert alone.to_dict().keys() == told[0].keys()
    assert predictor.predict([]) == []
    coarse = kind.from_directory(directory, device="cpu", precision="bf16", **options)
    assert coarse.predict(items[0]).to_dict().keys() == told[0].keys()
