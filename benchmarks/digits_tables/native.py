"""Training on one CPU core with kernels that the machine's C compiler compiles. It is several times faster than torch.

The shared library is compiled once per source, compiler and instruction set. The cache contains it with its checksum, in a
folder that only its owner can write. It is loaded only if owner, permissions and checksum are unchanged; else it is compiled
again. ``CC`` names the compiler, with options if needed. Without a compiler, :func:`kernels` returns None and the trainer uses
torch.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import stat
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks.digits_tables.graph import Graph
from benchmarks.digits_tables.schedule import SgdSchedule
from harness.cache import atomic, cache_root, sha256

SOURCE = Path(__file__).with_name("kernels.c")
FLAGS = ("-O3", "-march=native", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")
REAL = {torch.float32: "float", torch.float64: "double"}
ALIGNMENT = 64

Array = npt.NDArray[Any]


@cache
def kernels(dtype: torch.dtype = torch.float32) -> ctypes.CDLL | None:
    """Return the kernels for float32 or float64; None without a working C compiler. Compile them if the cache has none."""
    try:
        library = ctypes.CDLL(str(_library(dtype)))
    except (OSError, ValueError, subprocess.CalledProcessError):  # ValueError: CC is not a list of words
        return None
    library.train.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_int64, ctypes.c_double, ctypes.c_double]
    library.evaluate.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]
    library.train.restype = library.evaluate.restype = None
    return library


def _library(dtype: torch.dtype) -> Path:
    """Return the compiled library: the cached one if it is certainly ours and intact, else a new one."""
    compiler = shlex.split(os.environ.get("CC", "")) or ["cc"]
    # the macros contain the compiler's version and every extension of the instruction set
    macros = subprocess.run(
        [*compiler, "-march=native", "-dM", "-E", "-x", "c", os.devnull], capture_output=True, check=True
    ).stdout
    identity = SOURCE.read_bytes() + macros + " ".join((*compiler, *FLAGS, REAL[dtype])).encode()
    name = f"{REAL[dtype]}-{hashlib.sha256(identity).hexdigest()[:16]}.so"
    folder = _own_folder(cache_root() / "kernels")
    path, checksum = folder / name, folder / f"{name}.sha256"
    if not _intact(path, checksum):
        with atomic(path) as temporary:
            macro = [f"-DREAL={REAL[dtype]}", f"-DREAL_BYTES={dtype.itemsize}"]
            command = [*compiler, *FLAGS, *macro, str(SOURCE), "-o", str(temporary), "-lm"]
            subprocess.run(command, capture_output=True, check=True)
            temporary.chmod(0o700)
            digest = sha256(temporary)
        with atomic(checksum) as temporary:
            temporary.write_text(digest)
            temporary.chmod(0o600)
    return path


def _own_folder(folder: Path) -> Path:
    """Return ``folder`` if nobody else can write there, else a folder of this process."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(0o700)
        if _ours(folder) and (os.access(folder, os.W_OK) or any(folder.iterdir())):
            return folder
    except OSError:
        pass
    return Path(_temporary().name)


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is removed when this process ends."""
    return tempfile.TemporaryDirectory(prefix="nas-kernels-")


def _ours(path: Path) -> bool:
    """Return whether only this user, or the system's administrator, can have written ``path``."""
    state = path.lstat()
    return state.st_uid in (os.geteuid(), 0) and not stat.S_ISLNK(state.st_mode) and not state.st_mode & 0o022


def _intact(path: Path, checksum: Path) -> bool:
    try:
        return _ours(path) and _ours(checksum) and sha256(path) == checksum.read_text()
    except (OSError, ValueError):
        return False


def describe(dtype: torch.dtype = torch.float32) -> str:
    """Return the name of the implementation that trains on this machine."""
    return "compiled kernels" if kernels(dtype) else "torch (no working C compiler; with one it is several times faster)"


def lanes(dtype: torch.dtype) -> int:
    """Return the number of images in a vector; 0 without kernels. A batch must be a multiple of twice this number."""
    library = kernels(dtype)
    return int(library.lanes()) if library else 0


def fits(batch: int, dtype: torch.dtype) -> bool:
    """Return whether there are kernels for this batch size."""
    width = lanes(dtype)
    return width > 0 and batch % (2 * width) == 0


@dataclass(frozen=True)
class Images:
    """Labelled images in the layout of the kernels, in full batches."""

    pixels: Array
    """(batches, blocks, size, size, channels, lanes)."""
    labels: Array
    """int32 (batches, batch); -1 for an image that only fills the last batch."""


def blocked(images: Tensor, labels: Tensor, batch: int) -> Images:
    """Return images (N, channels, size, size) and labels (N,) in the layout of the kernels.

    Images of zeros fill the last batch. Their label is -1.
    """
    width, missing = lanes(images.dtype), -len(images) % batch
    full = torch.cat([images, images.new_zeros(missing, *images.shape[1:])])
    batches = full.view(-1, batch // width, width, *images.shape[1:])
    numbers = np.pad(labels.numpy().astype(np.int32), (0, missing), constant_values=-1)
    return Images(_aligned(batches.permute(0, 1, 4, 5, 3, 2).numpy()), numbers.reshape(-1, batch))


def _aligned(values: Array) -> Array:
    """Return a contiguous copy whose address is aligned for vectors."""
    memory = np.empty(values.nbytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    copy = memory[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


class _Value(ctypes.Structure):
    _fields_ = [("at", ctypes.c_int64), ("stride", ctypes.c_int64)]


class _State(ctypes.Structure):
    """The ``State`` of ``kernels.c``."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("memory", "parameters", "gradients", "momenta", "running", "batch", "scratch")),
        *((name, ctypes.c_void_p) for name in ("forward", "backward")),
        *((name, ctypes.c_int64) for name in ("forward_count", "backward_count", "parameter_count")),
        *((name, _Value) for name in ("input", "logits", "gradient")),
        *((name, ctypes.c_int64) for name in ("input_vectors", "classes", "blocks", "training")),
        *((name, ctypes.c_double) for name in ("eps", "rate")),
    ]


class Network:
    """One network of a graph with its own parameters, on one thread.

    Args:
        graph: the layers.
        initial: the initial parameters by name, shaped as in PyTorch.
        batch: images in a step; see :func:`fits`.
        dtype: type of parameters and images.
        eps: epsilon of the batch norms.
        momentum: momentum of the running statistics of the batch norms.

    Raises:
        ValueError: there are no kernels for this batch size.
    """

    def __init__(
        self,
        graph: Graph,
        initial: Mapping[str, Tensor],
        batch: int,
        dtype: torch.dtype = torch.float32,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        library = kernels(dtype)
        if library is None or not fits(batch, dtype):
            raise ValueError(f"there are no kernels for batches of {batch}; they take multiples of {2 * lanes(dtype)}")
        self._kernels, self._graph = library, graph
        width = lanes(dtype)
        blocks = batch // width
        forward, backward = graph.forward(), graph.backward()
        places, vectors = graph.places(forward + backward, blocks)
        real = np.float32 if dtype == torch.float32 else np.float64
        parameters = _aligned(graph.pack(initial).to(dtype).numpy())
        running = np.zeros(graph.statistics, real)
        for step in forward:
            if step.statistics >= 0:
                running[step.statistics + step.inputs : step.statistics + 2 * step.inputs] = 1
        arrays: dict[str, Array] = {
            "memory": _aligned(np.zeros(vectors * width, real)),
            "parameters": parameters,
            "gradients": np.zeros_like(parameters),
            "momenta": np.zeros_like(parameters),
            "running": running,
            "batch": np.zeros_like(running),
            "scratch": np.zeros_like(parameters),
            "forward": graph.code(forward, places),
            "backward": graph.code(backward, places),
        }
        self._arrays = arrays  # the state points into their memory
        inputs, logits = graph.input, graph.logits
        self._state = _State(
            **{name: array.ctypes.data for name, array in arrays.items()},
            forward_count=len(forward),
            backward_count=len(backward),
            parameter_count=len(parameters),
            input=_Value(places[inputs.buffer, False], inputs.channels),
            logits=_Value(places[logits.buffer, False], logits.channels),
            gradient=_Value(places[logits.buffer, True], logits.channels),
            input_vectors=blocks * inputs.size**2 * inputs.channels,
            classes=logits.channels,
            blocks=blocks,
            training=1,
            eps=eps,
            rate=momentum,
        )

    def parameters(self) -> dict[str, Tensor]:
        """Return copies of the parameters by name, shaped as in PyTorch."""
        return self._graph.unpack(torch.from_numpy(self._arrays["parameters"].copy()))

    def train(self, images: Images, rates: Sequence[float], momentum: float, decay: float) -> None:
        """Make one step of SGD with Nesterov momentum for each batch.

        Args:
            images: the batches.
            rates: the learning rate of each batch.
            momentum: Nesterov momentum.
            decay: weight decay.

        Raises:
            ValueError: the number of rates differs from the number of batches, or a batch is not full.
        """
        self._state.training = 1
        steps = np.array(rates, np.float64)
        if len(steps) != len(images.pixels) or (images.labels < 0).any():
            raise ValueError(f"{len(steps)} rates for {len(images.pixels)} batches, or a batch that is not full")
        state, pixels, labels = ctypes.addressof(self._state), images.pixels.ctypes.data, images.labels.ctypes.data
        self._kernels.train(state, pixels, labels, steps.ctypes.data, len(steps), momentum, decay)

    def evaluate(self, images: Images) -> tuple[int, float]:
        """Return the number of correct answers and the summed cross entropy (nats), with the norms' running statistics."""
        self._state.training = 0
        correct, loss = ctypes.c_int64(0), ctypes.c_double(0)
        state, pixels, labels = ctypes.addressof(self._state), images.pixels.ctypes.data, images.labels.ctypes.data
        results = ctypes.addressof(correct), ctypes.addressof(loss)
        self._kernels.evaluate(state, pixels, labels, len(images.pixels), *results)
        return correct.value, loss.value


def train(
    network: Network, epochs: int, sgd: SgdSchedule, batches: Callable[[int], Images], after_epoch: Callable[[int], None]
) -> None:
    """Train a network in place. The loss is the mean cross entropy.

    Args:
        network: the network.
        epochs: number of epochs.
        sgd: the schedule of the optimiser.
        batches: returns the images of an epoch.
        after_epoch: takes the number of each finished epoch.
    """
    for epoch in range(epochs):
        images = batches(epoch)
        steps = len(images.pixels)
        rates = [sgd.at((epoch + step / steps) / epochs) for step in range(steps)]
        network.train(images, rates, sgd.momentum, sgd.decay)
        after_epoch(epoch)
