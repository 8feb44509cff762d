"""Row-sparse gradients of an embedding table against dense ones."""

import pytest
import torch
from torch import nn

from affectlab.models.sparse_embeddings import use_sparse_embeddings


class _Tied(nn.Module):
    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 3)
        self.out = nn.Linear(3, 5)
        if tied:
            self.out.weight = self.table.weight

    def get_input_embeddings(self) -> nn.Module:
        return self.table

    def get_output_embeddings(self) -> nn.Module:
        return self.out


def test_sparse_embeddings_touch_only_the_rows_of_the_batch():
    network = _Tied(tied=False)
    use_sparse_embeddings(network)
    network.table(torch.tensor([1, 3, 3])).sum().backward()
    gradient = network.table.weight.grad.coalesce()
    assert gradient.indices().flatten().tolist() == [1, 3]
    assert gradient.values()[1].tolist() == [2.0, 2.0, 2.0]


def test_a_tied_table_cannot_be_sparse():
    with pytest.raises(ValueError, match="tied"):
        use_sparse_embeddings(_Tied(tied=True))


def test_the_sparse_gradient_is_the_dense_one():
    tokens = torch.tensor([[1, 3, 3], [0, 1, 4]])
    torch.manual_seed(0)
    plain = _Tied(tied=False)
    sparse = _Tied(tied=False)
    sparse.load_state_dict(plain.state_dict())
    use_sparse_embeddings(sparse)
    outcomes = []
    for network in (plain, sparse):
        logits = network.out(network.table(tokens))
        nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
        outcomes.append((logits, network.table.weight.grad.to_dense(), network.out.weight.grad))
    for dense, rows in zip(*outcomes, strict=True):
        torch.testing.assert_close(rows, dense)
