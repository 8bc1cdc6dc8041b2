"""Count the kernels, bytes and multiply-adds of a computation, on tensors without values (the meta device) or with values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from harness import device

BFLOAT16 = {
    torch.conv2d,
    F.conv2d,
    F.linear,
    torch.matmul,
    torch.Tensor.matmul,
    torch.Tensor.__matmul__,
    torch.bmm,
    torch.einsum,
}
"""Functions that autocast computes in bfloat16 on a GPU, as far as the networks here call them."""
FLOAT32 = {torch.sum, torch.Tensor.sum}
"""Functions that autocast computes in float32 on a GPU, likewise."""
WIDEST = {torch.addcmul, torch.Tensor.addcmul}
"""Functions that autocast computes in the widest type of their arguments, numbers in tensors included."""
COPIES = {"_to_copy", "copy_", "clone"}


@dataclass(frozen=True)
class Work:
    """What a computation does. The pointwise part could be fused into its neighbours by a compiler."""

    kernels: int = 0
    bytes: float = 0.0
    """Bytes of all arguments and results: what the computation moves if no kernel reads from a cache."""
    pointwise_kernels: int = 0
    pointwise_bytes: float = 0.0
    macs: float = 0.0
    """Multiply-adds of convolutions and matrix products, without those of backward passes."""

    def __add__(self, other: Work) -> Work:
        return Work(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))

    def __rmul__(self, times: int) -> Work:
        return Work(*(times * value for value in vars(self).values()))


class Count(TorchDispatchMode):
    """A context that counts what is computed in it, :attr:`work`. Views are no kernels."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work = Work()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [value for value in tree_leaves((args, kwargs, out)) if isinstance(value, Tensor)]
        name = func._schema.name.removeprefix("aten::")
        if tensors and not (func.is_view or name in ("_unsafe_view", "empty_like", "empty", "detach")):
            size = float(sum(value.numel() * value.element_size() for value in tensors))
            fusible = torch.Tag.pointwise in func.tags or name in COPIES
            was = self.work
            self.work = Work(
                was.kernels + 1,
                was.bytes + size,
                was.pointwise_kernels + fusible,
                was.pointwise_bytes + size * fusible,
                was.macs + _macs(name, args, out),
            )
        return out


def _macs(name: str, args: Any, out: Any) -> float:
    if name == "convolution":
        return float(out.numel() * math.prod(args[1].shape[1:]))
    if name in ("mm", "bmm", "addmm"):
        return float(out.numel() * args[-2].shape[-1])
    return 0.0


class Autocast(TorchFunctionMode):
    """A context in which tensors of the meta device get the types that autocast gives them on a GPU, casts included."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in BFLOAT16:
            args = _cast(args, torch.bfloat16)
        elif func in FLOAT32:
            kwargs = {"dtype": torch.float32, **kwargs}
        elif func in WIDEST and any(value.dtype == torch.float32 for value in args if isinstance(value, Tensor)):
            args = _cast(args, torch.float32)
        return func(*args, **kwargs)


def _cast(args: Any, dtype: torch.dtype) -> Any:
    return tree_map_only(Tensor, lambda value: value.to(dtype) if value.is_floating_point() else value, args)


@contextmanager
def as_on_gpu() -> Iterator[None]:
    """Let the meta device compute in the types in which a GPU computes."""
    before = dict(device.REDUCED)
    device.REDUCED["meta"] = device.REDUCED["cuda"]
    try:
        with Autocast():
            yield
    finally:
        device.REDUCED.clear()
        device.REDUCED.update(before)
