"""The piece ``convolutions``: every convolution of DARTS_V2 in both layouts and both half precisions. It decides the layout."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import torch
import torch.nn.functional as F

from benchmarks.darts.macro import CIFAR, Macro
from benchmarks.gpu.networks import Convolution, convolutions
from benchmarks.gpu.pieces import Case, Numbers, Run
from benchmarks.gpu.roofline import Device, device
from benchmarks.gpu.timing import recorded, seconds

LAYOUTS: Final = {"NHWC": torch.channels_last, "NCHW": torch.contiguous_format}
TYPES: Final = {"bfloat16": torch.bfloat16, "float16": torch.float16}
SMALL: Final = Macro(width=4, depth=3, channels=1, size=8, auxiliary=False)


@cache
def shapes(small: bool) -> Mapping[Convolution, int]:
    """Return the convolutions of a training step, with the number of their layers."""
    return convolutions("DARTS_V2", SMALL if small else CIFAR, 8 if small else 96)


def cases(run: Run) -> list[Case]:
    """Return the cases."""
    limit, small = device(run.device), run.small
    total = 1e3 * sum(bound(shape, limit) * layers for shape, layers in shapes(small).items())
    return [
        Case(
            f"{layout}, {dtype}",
            lambda: {"ms of all": total, "share of the bound, %": 100.0},
            lambda layout=layout, dtype=dtype: _measured(run, layout, dtype, limit),  # type: ignore[misc]
        )
        for dtype in TYPES
        for layout in LAYOUTS
    ]


def bound(shape: Convolution, limit: Device) -> float:
    """Return the least seconds of a convolution and its backward pass: of its arithmetic, or of its bytes in half precision.

    Forward reads the input and the weights. The gradient of the input reads that of the output and the weights; the gradient of
    the weights reads that of the output and the input.
    """
    side = out_size(shape)
    inputs, outputs = (
        shape.batch * channels * size**2 for channels, size in ((shape.inputs, shape.size), (shape.outputs, side))
    )
    weights = shape.outputs * shape.inputs // shape.groups * shape.kernel**2
    macs = outputs * shape.inputs // shape.groups * shape.kernel**2
    return max(6 * macs / limit.flops, 2 * 3 * (inputs + outputs + weights) / limit.bytes)


def out_size(shape: Convolution) -> int:
    """Return height and width of the output."""
    return (shape.size + 2 * shape.padding - shape.dilation * (shape.kernel - 1) - 1) // shape.stride + 1


def _measured(run: Run, layout: str, dtype: str, limit: Device) -> Numbers:
    least, rows, total, best = 0.0 if run.small else 0.02, [], 0.0, 0.0
    for shape, layers in shapes(run.small).items():
        taken = _time(shape, LAYOUTS[layout], TYPES[dtype], run.device, least)
        total, best = total + layers * taken, best + layers * bound(shape, limit)
        rows.append({**shape._asdict(), "layers": layers, "us": 1e6 * taken, "bound, us": 1e6 * bound(shape, limit)})
    return {"ms of all": 1e3 * total, "share of the bound, %": 100 * best / total, "shapes": rows}


def _time(shape: Convolution, layout: Any, dtype: torch.dtype, kind: str, least: float) -> float:
    """Return the seconds of a convolution and both its gradients."""

    def drawn(*sizes: int) -> torch.Tensor:
        return torch.randn(sizes, device=kind).to(dtype).contiguous(memory_format=layout).requires_grad_()

    x = drawn(shape.batch, shape.inputs, shape.size, shape.size)
    weight = drawn(shape.outputs, shape.inputs // shape.groups, shape.kernel, shape.kernel)
    gradient = drawn(shape.batch, shape.outputs, out_size(shape), out_size(shape)).detach()

    def step() -> None:
        y = F.conv2d(x, weight, None, shape.stride, shape.padding, shape.dilation, shape.groups)
        torch.autograd.grad(y, (x, weight), gradient)

    times = 1 if kind == "cpu" else 10
    return seconds(recorded(step, kind, times), kind, least) / times
