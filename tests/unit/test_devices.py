"""`core.devices`: a GPU that was granted and is not there."""

import pytest
import torch

from affectlab.core.devices import choose_device
from affectlab.core.errors import UserError


def test_a_granted_gpu_that_pytorch_cannot_see_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(UserError, match=r"given a GPU \(CUDA_VISIBLE_DEVICES=0,1\) but none is"):
        choose_device()


@pytest.mark.parametrize("hidden", ["", "-1", "NoDevFiles"])
def test_where_no_gpu_was_granted_the_cpu_is_used(monkeypatch, hidden):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert choose_device() == torch.device("cpu")
