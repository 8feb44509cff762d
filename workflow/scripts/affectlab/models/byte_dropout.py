"""Dropout from one random byte per element.

On a CPU, PyTorch draws one 32-bit number per element. ``benchmarks/README.md`` has the gain.
What breaks first when transformers changes: a model that calls ``nn.functional.dropout`` has no
`nn.Dropout` to replace and silently keeps PyTorch's.
"""

from __future__ import annotations

import torch
from torch import nn

BYTE_VALUES = 256


class ByteDropout(nn.Module):
    """Dropout whose keep decision costs one random byte per element.

    The keep probability is rounded to a multiple of 1/256 and outputs are scaled by exactly its
    inverse, so the expectation is unchanged. Eight decisions come from one 64-bit draw of
    PyTorch's default generator, hence seeds and checkpoints cover it.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.kept_values = max(1, round(BYTE_VALUES * (1.0 - p)))

    @property
    def p(self) -> float:
        """The drop probability after rounding."""
        return 1.0 - self.kept_values / BYTE_VALUES

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Drop and rescale in training mode, else return *inputs* (any shape, float dtype)."""
        if not self.training or self.kept_values == BYTE_VALUES:
            return inputs
        count = inputs.numel()
        words = torch.empty((count + 7) // 8, dtype=torch.int64)
        words.random_(-(2**63), 2**63 - 1)
        random_bytes = words.view(torch.uint8)[:count].view(inputs.shape)
        kept = (random_bytes < self.kept_values).to(inputs.dtype)
        # One pass, scaled in float32 whatever the dtype; filling a mask takes three times that.
        return torch.addcmul(
            inputs.new_zeros(()), inputs, kept, value=BYTE_VALUES / self.kept_values
        )


def use_byte_dropout(model: nn.Module) -> int:
    """Replace every `nn.Dropout` in *model* in place; return how many there were."""
    replaced = 0
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout:
                setattr(module, name, ByteDropout(child.p))
                replaced += 1
    return replaced
