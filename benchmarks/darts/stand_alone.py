"""The trained stand-alone network that a search delivers. :mod:`benchmarks.darts.delivered` is its counterpart in the judge."""

from __future__ import annotations

import dataclasses
import io

import torch
from torch import Tensor, nn

from benchmarks.darts.network import Network
from harness.delivery import Plain


class StandAlone:
    """A trained network in evaluation mode; see :class:`harness.weight_sharing.StandAlone`."""

    def __init__(self, network: Network) -> None:
        self._network = network.eval()

    def __call__(self, images: Tensor) -> Tensor:
        logits: Tensor = self._network(images)[0]
        return logits

    @property
    def settings(self) -> dict[str, Plain]:
        """Return the fields of the network's :class:`Macro`, without the auxiliary head, which evaluations do not have."""
        return dataclasses.asdict(dataclasses.replace(self._network.macro, auxiliary=False))

    def weights(self) -> bytes:
        """Return the state of the network without its auxiliary head, serialised by ``torch.save``."""
        state = {name: value.detach().cpu() for name, value in _tested(self._network).items()}
        stream = io.BytesIO()
        torch.save({name: value.contiguous().clone() for name, value in state.items()}, stream)
        return stream.getvalue()


def _tested(network: nn.Module) -> dict[str, Tensor]:
    """Return the state of the layers that an evaluation uses: all but the auxiliary head."""
    return {name: value for name, value in network.state_dict().items() if not name.startswith("auxiliary.")}
