"""Trainable parameters in float32, beside the network that computes with copies of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn


class MasterWeights:
    """A network's trainable parameters: float32 masters and the copies it computes with.

    In float32 the two are the same. In bfloat16 the network itself is held in bfloat16, so that
    no product casts its weights; optimizers update the masters, which are copied over after each
    update. Tables with row-sparse gradients are kept apart, and only touched rows are copied.
    Batch normalisation stays in float32, for its running statistics need the digits; these and
    other buffers belong to the weights that are saved.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        self.working = {n: p for n, p in model.named_parameters() if p.requires_grad}
        tables = {
            id(module.weight)
            for module in model.modules()
            if isinstance(module, nn.Embedding) and module.sparse
        }
        stored = model.state_dict()
        self.buffers = {n: buffer for n, buffer in model.named_buffers() if n in stored}
        self.copied = dtype is not torch.float32
        self.masters = dict(self.working)
        if self.copied:
            exact = {
                id(parameter)
                for module in model.modules()
                if isinstance(module, nn.modules.batchnorm._BatchNorm)
                for parameter in module.parameters()
            }
            self.masters = {
                name: parameter
                if id(parameter) in exact
                else nn.Parameter(parameter.detach().float().clone())
                for name, parameter in self.working.items()
            }
            for parameter in model.parameters():
                if parameter.is_floating_point() and id(parameter) not in exact:
                    parameter.data = parameter.data.to(dtype)
        names = {name for name, parameter in self.working.items() if id(parameter) in tables}
        self.sparse = {name: self.masters[name] for name in names}
        self.dense = {name: p for name, p in self.masters.items() if name not in names}
        # Kept between updates: fresh memory of this size costs more than the copy into it.
        self.gradients: dict[str, torch.Tensor] = {}

    def collect_gradients(self) -> None:
        """Add the network's gradients to the masters', in float32."""
        if not self.copied:
            return
        for name, parameter in self.working.items():
            master = self.masters[name]
            if parameter.grad is None or master is parameter:
                continue
            if name in self.sparse:
                gradient = parameter.grad.float()
                master.grad = gradient if master.grad is None else master.grad + gradient
            elif master.grad is None:
                if name not in self.gradients:
                    self.gradients[name] = torch.empty_like(master)
                master.grad = self.gradients[name].copy_(parameter.grad)
            else:
                master.grad += parameter.grad
            parameter.grad = None

    @torch.no_grad()
    def publish(self, *, touched_only: bool = False) -> None:
        """Copy the masters into the network; of sparse tables, the *touched_only* rows."""
        if not self.copied:
            return
        torch._foreach_copy_([self.working[name] for name in self.dense], [*self.dense.values()])
        for name, master in self.sparse.items():
            if touched_only and master.grad is not None:
                rows = master.grad.coalesce().indices()[0]
                self.working[name][rows] = master[rows].to(self.working[name].dtype)
            elif not touched_only:
                self.working[name].copy_(master)

    def restore(self) -> None:
        """Give the network its masters as parameters, in float32."""
        for name, parameter in self.working.items():
            parameter.data = self.masters[name].data

    def state(self) -> dict[str, torch.Tensor]:
        """The masters and the buffers by name, to be saved."""
        return {name: master.detach() for name, master in self.masters.items()} | self.buffers

    @torch.no_grad()
    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Set masters, buffers and network to saved ones."""
        for name, tensor in (self.masters | self.buffers).items():
            tensor.copy_(state[name])
        self.publish()


class WeightAverage:
    """A moving average of the weights over updates, which then is what is evaluated and kept.

    Exponential, as of Polyak and Juditsky 1992, https://doi.org/10.1137/0330046; early on the
    decay is (1 + n) / (10 + n) after n updates, so that the first weights are soon forgotten.
    Running statistics are averaged too; tables with row-sparse gradients are not. Without a decay
    there is no average.
    """

    def __init__(self, weights: MasterWeights, decay: float | None) -> None:
        self.weights = weights
        self.decay = decay
        self.averaged: dict[str, torch.Tensor] = {}
        if decay is not None:
            floats = {n: b for n, b in weights.buffers.items() if b.is_floating_point()}
            self.averaged = {n: master.data for n, master in weights.dense.items()} | floats
        self.values = {name: tensor.clone() for name, tensor in self.averaged.items()}

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Take in the present weights, after *updates* earlier ones."""
        if self.decay is not None:
            decay = min(self.decay, (1 + updates) / (10 + updates))
            torch._foreach_lerp_(
                list(self.values.values()), list(self.averaged.values()), 1.0 - decay
            )

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """While the block runs, masters and network hold the average."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, value in self.values.items():
            kept = value.clone()
            value.copy_(self.averaged[name])
            self.averaged[name].copy_(kept)
        if self.values:
            self.weights.publish()
