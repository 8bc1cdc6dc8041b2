"""How fast a device can do counted work at most, by its arithmetic, its memory, and the launches of its kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.gpu.counts import Work

Variant = Literal["eager", "compiled", "graph", "compiled graph"]
"""How steps run: operation by operation; with pointwise operations fused by a compiler; as a graph that is launched at once."""


def kernels(work: Work, variant: Variant = "eager") -> int:
    """Return the number of kernels."""
    return work.kernels - work.pointwise_kernels * variant.startswith("compiled")


@dataclass(frozen=True)
class Device:
    """What a device can do in a second, and how long a launch takes."""

    name: str
    flops: float
    """Floating-point operations in bfloat16."""
    bytes: float
    """Bytes read and written."""
    launch: float
    """Seconds from a kernel to the next, launched by PyTorch."""
    replay: float
    """The same in a graph."""

    def arithmetic(self, work: Work) -> float:
        """Return the seconds that the arithmetic of a forward and a backward pass takes. Backward costs twice as much."""
        return 6 * work.macs / self.flops

    def memory(self, work: Work, variant: Variant = "eager") -> float:
        """Return the seconds that reading and writing takes."""
        return (work.bytes - work.pointwise_bytes * variant.startswith("compiled")) / self.bytes

    def launches(self, work: Work, variant: Variant = "eager") -> float:
        """Return the seconds that launching takes."""
        return kernels(work, variant) * (self.replay if variant.endswith("graph") else self.launch)

    def seconds(self, work: Work, variant: Variant = "eager", together: int = 1) -> float:
        """Return the least seconds of a pass, if as many trainings as ``together`` share the device, divided by their number.

        Trainings side by side launch independently; arithmetic and memory are shared.
        """
        return max(self.arithmetic(work), self.memory(work, variant), self.launches(work, variant) / together)


H200: Final = Device("H200", 790e12, 4.3e12, 5e-6, 2.5e-6)
"""Arithmetic and memory as measured; launches as usual for PyTorch on such a machine."""
CORE: Final = Device("a processor core", 50e9, 10e9, 5e-6, 5e-6)
"""For ``--device cpu``, where pieces are small and only show that they work."""


def device(kind: str) -> Device:
    """Return the device that predictions for ``cuda`` or ``cpu`` are about."""
    return H200 if kind == "cuda" else CORE
