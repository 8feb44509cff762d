"""Making a pretrained encoder train fast on a CPU without changing what it learns.

Three costs of PyTorch's CPU training are avoided (figures in ``benchmarks/README.md``): dropout
masks drawn one 32-bit number per element, dense gradients and optimizer steps for an embedding
table of which a batch touches a few hundred rows, and the slow backward pass of the fused
attention kernel.
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
        scaled = inputs * (BYTE_VALUES / self.kept_values)
        return scaled.masked_fill(random_bytes >= self.kept_values, 0.0)


def use_byte_dropout(model: nn.Module) -> int:
    """Replace every `nn.Dropout` in *model* in place; return how many there were."""
    replaced = 0
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout:
                setattr(module, name, ByteDropout(child.p))
                replaced += 1
    return replaced


def use_sparse_embeddings(model: nn.Module) -> None:
    """Let the input embedding table receive row-sparse gradients.

    `core.training` then updates only the rows that a batch touched (lazy Adam), without weight
    decay or clipping for them.

    Raises:
        ValueError: the table is tied to an output layer, whose gradient is dense.
    """
    table = model.get_input_embeddings()
    output = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    if output is not None and output.weight is table.weight:
        raise ValueError("an embedding table tied to the output layer has a dense gradient")
    table.sparse = True
