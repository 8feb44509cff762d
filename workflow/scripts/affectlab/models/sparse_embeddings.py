"""Row-sparse gradients of an embedding table of which a batch touches a few hundred rows.

A dense gradient and optimizer step cost as much as the whole table (``benchmarks/README.md``).
What breaks first when transformers changes: a model whose input table is no `nn.Embedding` ignores
the flag that is set here, and its gradient stays dense.
"""

from __future__ import annotations

from torch import nn


def use_sparse_embeddings(model: nn.Module) -> None:
    """Let the input embedding table receive row-sparse gradients.

    `training.loop` then updates only the rows that a batch touched (lazy Adam), without weight
    decay or clipping for them.

    Raises:
        ValueError: the table is tied to an output layer, whose gradient is dense.
    """
    table = model.get_input_embeddings()
    output = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    if output is not None and output.weight is table.weight:
        raise ValueError("an embedding table tied to the output layer has a dense gradient")
    table.sparse = True
