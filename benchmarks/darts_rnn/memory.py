"""The hidden states at the ends of blocks, so that the next block of the text continues from there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from torch import Tensor


class Memory:
    """The last states by the place in the text where they continue.

    A pass begins with the state in which the last pass over the tokens before it ended. Without such a pass it begins with
    zeros, as at the start of the text. Several passes over one block, as in DARTS' second order, begin with the same state.

    Args:
        size: number of states; the oldest is forgotten first.
    """

    def __init__(self, size: int = 8) -> None:
        self._size = size
        self._states: OrderedDict[Hashable, Tensor] = OrderedDict()

    def state(self, place: Hashable) -> Tensor | None:
        """Return the state at a place, or None."""
        return self._states.get(place)

    def keep(self, place: Hashable, state: Tensor) -> None:
        """Store a state for the pass that begins at a place."""
        self._states[place] = state.detach()
        self._states.move_to_end(place)
        if len(self._states) > self._size:
            self._states.popitem(last=False)
