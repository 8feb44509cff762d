"""The one place that chooses device, number format, threads and seeds."""

from __future__ import annotations

import logging
import os
import random
from typing import Literal

import numpy as np
import torch

from affectlab.errors import UserError, first_line

Precision = Literal["auto", "fp32", "bf16"]

NO_DEVICE = ("", "-1", "NoDevFiles")
"""Values of ``CUDA_VISIBLE_DEVICES`` that hide every GPU; the last is SLURM's."""

logger = logging.getLogger(__name__)


def choose_device() -> torch.device:
    """The device of this process: a GPU if one is visible, else the CPU.

    ``CUDA_VISIBLE_DEVICES`` and, in one of several processes (`training.launch`), the
    local rank are honoured.

    Raises:
        UserError: ``CUDA_VISIBLE_DEVICES``, which schedulers set, names a GPU but none is visible.
    """
    from accelerate import PartialState

    gpu_visible = torch.cuda.is_available()
    granted = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if not gpu_visible and granted not in NO_DEVICE:
        raise UserError(
            f"this job was given a GPU (CUDA_VISIBLE_DEVICES={granted}) but none is visible to "
            f"PyTorch {torch.__version__}: check the driver, and that the environment holds a CUDA "
            "build of torch; to use the CPU, set CUDA_VISIBLE_DEVICES to nothing"
        )
    return torch.device(PartialState(cpu=not gpu_visible).device)


def named_device(name: str | None) -> torch.device:
    """The device that a user names, or the one of `choose_device`.

    Raises:
        UserError: there is no such device here.
    """
    if not name:
        return choose_device()
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        reason = first_line(error)
        raise UserError(f"device {name}: cannot be used here: {reason}") from error
    return device


def gains_by_bf16(device: torch.device) -> bool:
    """Whether *device* multiplies bfloat16 matrices in hardware, and faster than float32.

    Intel's processors do so by AMX. Without it, as in virtual machines that hide it, their AVX512
    products of bfloat16 have half the rate of float32 (Emerald Rapids, PyTorch 2.13: 83 against
    161 GFLOP/s a core). On AMD's Zen 4 they are the faster ones (about 200 GFLOP/s a core).
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    if "Intel" in capabilities.get("cpu_name", ""):
        return bool(capabilities.get("amx_bf16"))
    return bool(capabilities.get("avx512_bf16"))


def compute_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The number format of matrix products: bfloat16 where asked for, or `auto` and faster."""
    if precision == "bf16" or (precision == "auto" and gains_by_bf16(device)):
        return torch.bfloat16
    return torch.float32


def autocast(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """Matrix products in *dtype*; a no-op for float32."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (all devices)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def set_threads(threads: int) -> None:
    """Let PyTorch's CPU operators use *threads* threads; one in a process that was forked.

    CPU results are the same to the byte only between runs with the same number.
    """
    if threads > 1 and _forked_processes:
        logger.warning(
            "this process was forked from one that had loaded PyTorch: it computes with one "
            "thread in place of %d; start workers by spawn to give them more",
            threads,
        )
        threads = 1
    torch.set_num_threads(threads)


_forked_processes: list[int] = []
"""This process, if it was forked after PyTorch had been loaded."""


def _compute_with_one_thread() -> None:
    """Keep a forked process from waiting for threads that exist in its parent only.

    PyTorch's own workers of a `DataLoader` do the same.
    """
    _forked_processes[:] = [os.getpid()]
    torch.set_num_threads(1)


os.register_at_fork(after_in_child=_compute_with_one_thread)
