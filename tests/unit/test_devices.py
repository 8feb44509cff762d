"""`models.devices`: a GPU that was granted and is not there; number formats of processors."""

import pytest
import torch

from affectlab.errors import UserError
from affectlab.models.devices import choose_device, compute_dtype, named_device


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


@pytest.mark.parametrize("name", ["nowhere", "cpu:x", "meta", "hpu"])
def test_a_device_that_computes_nothing_here_is_named(name):
    """Not only what PyTorch does not know: ``meta`` holds no numbers, ``hpu`` is a package more."""
    with pytest.raises(UserError, match=f"device {name}: cannot be used here: "):
        named_device(name)


@pytest.mark.parametrize(
    ("cpu_name", "extensions", "expected"),
    [
        ("AMD EPYC 9B14", {"avx512_bf16"}, torch.bfloat16),
        ("Intel Xeon", {"avx512_bf16", "amx_tile", "amx_bf16"}, torch.bfloat16),
        # AMX kept from a virtual machine: what is left multiplies at half the rate of float32.
        ("Intel Xeon", {"avx512_bf16"}, torch.float32),
        ("AMD EPYC 7B13", set(), torch.float32),
    ],
)
def test_auto_takes_bfloat16_where_a_processor_gains_by_it(
    monkeypatch, cpu_name, extensions, expected
):
    flags = {name: name in extensions for name in ("avx512_bf16", "amx_tile", "amx_bf16")}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags | {"cpu_name": cpu_name})
    device = torch.device("cpu")
    assert compute_dtype("auto", device) is expected
    assert compute_dtype("bf16", device) is torch.bfloat16
    assert compute_dtype("fp32", device) is torch.float32
