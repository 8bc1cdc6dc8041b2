"""Trained networks that searches delivered, as the judge loads, checks and tests them.

A delivery comes from the process of a method, so the judge trusts nothing of it. Before it builds or loads anything, it checks
that the bytes can contain the parameters that the settings claim, and that every stored tensor has the expected shape.
"""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Mapping

import torch
from torch import Tensor

from benchmarks.darts.image_folder import open_images
from benchmarks.darts.macro import Macro
from benchmarks.darts.network import Network
from benchmarks.darts.size import network_size
from harness.delivery import Delivery, Plain
from harness.device import autocast

BATCH = 512
"""Test images of a pass."""
DEEPEST = 1000
"""Largest number of cells of a delivered network."""


def accuracy(delivery: Delivery, dataset: str, device: str) -> float:
    """Return the test accuracy of a delivered network, percent.

    Args:
        dataset: ``cifar10``, ``digits`` or ``imagenet``.
        device: ``cpu`` or ``cuda``; the precision is that of trainings from scratch.

    Raises:
        ValueError: the delivery is not the network of its architecture for these images.
    """
    data = open_images(dataset, "test", device)
    network = received(delivery, data.classes, data.channels, data.size).to(device).eval()
    right, seen = torch.zeros((), device=device, dtype=torch.int64), 0
    with torch.inference_mode(), autocast(device):
        for images, labels in data.evaluated(BATCH):
            right += (network(images)[0].argmax(1) == labels).sum()
            seen += len(labels)
    return 100 * right.item() / seen


def received(delivery: Delivery, classes: int, channels: int, size: int) -> Network:
    """Return the delivered network, on the CPU.

    Raises:
        ValueError: settings, weights, architecture and images do not belong together.
    """
    macro = _macro(delivery.settings)
    if macro != macro.for_data(classes, channels, size):
        raise ValueError(
            f"its settings are for {macro.classes} classes and {macro.channels} x {macro.size} x {macro.size} pixels, "
            f"the test images have {classes} and {channels} x {size} x {size}"
        )
    if macro.depth > DEEPEST:
        raise ValueError(f"its settings claim {macro.depth:,} cells; the limit is {DEEPEST:,}")
    needed, stored = 4 * network_size(delivery.arch, macro).parameters, len(delivery.weights)
    if needed > stored:
        raise ValueError(f"its settings claim a network of {needed:,} bytes, and the weights have {stored:,}")
    network = Network(delivery.arch, macro)
    network.load_state_dict(_loaded(delivery.weights, network))
    return network


def _macro(settings: Mapping[str, Plain]) -> Macro:
    """Return the network around the cells from plain settings. Raises :class:`ValueError` if a name or a type is wrong."""
    usual = dataclasses.asdict(Macro())
    if set(settings) != set(usual):
        raise ValueError(
            f"its settings are {', '.join(sorted(settings)) or 'empty'}; the network has {', '.join(sorted(usual))}"
        )
    for name, value in settings.items():
        if type(value) is not type(usual[name]):
            raise ValueError(f"its setting {name} is {value!r}, not {type(usual[name]).__name__}")
    macro = Macro(**settings)  # type: ignore[arg-type]  # the types were compared just above
    return dataclasses.replace(macro, auxiliary=False)


def _loaded(weights: bytes, network: Network) -> dict[str, Tensor]:
    """Return the serialised state of ``network``.

    Raises:
        ValueError: the bytes are no such state. Nothing larger than the bytes themselves is allocated to notice it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(weights)) as archive:
            records = archive.infolist()
        if any(record.compress_type != zipfile.ZIP_STORED for record in records):
            raise ValueError("its weights are compressed")
        _compare(_read(weights, "meta"), network.state_dict(), sum(record.file_size for record in records))
        return _read(weights, "cpu")
    except ValueError:
        raise
    except Exception as error:  # a damaged or hostile archive raises almost any exception
        raise ValueError(f"its weights are no state that torch.save wrote ({type(error).__name__})") from None


def _read(weights: bytes, device: str) -> dict[str, Tensor]:
    """Return the tensors in serialised weights, by name. On ``meta`` they have shapes and no content."""
    state = torch.load(io.BytesIO(weights), map_location=device, weights_only=True)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError("its weights are not tensors by name")
    return state


def _compare(claimed: Mapping[str, Tensor], expected: Mapping[str, Tensor], stored: int) -> None:
    """Raise :class:`ValueError` if tensors differ from the expected ones in name, shape or type, or are not stored.

    Args:
        stored: bytes of all records of the archive.
    """
    if claimed.keys() != expected.keys():
        lacking, strange = (
            sorted(map(str, names)) for names in (expected.keys() - claimed.keys(), claimed.keys() - expected.keys())
        )
        which = f"lack {lacking[0]}" if lacking else f"have {strange[0]:.100}"
        raise ValueError(f"its weights {which}, unlike the network of the architecture")
    for name, value in expected.items():
        if (claimed[name].shape, claimed[name].dtype) != (value.shape, value.dtype):
            raise ValueError(
                f"its {name} is {claimed[name].dtype} {tuple(claimed[name].shape)}, not {value.dtype} {tuple(value.shape)}"
            )
        if claimed[name].untyped_storage().nbytes() != value.nbytes:
            raise ValueError(f"its {name} is a part of a larger tensor")
    if sum(value.nbytes for value in expected.values()) > stored:
        raise ValueError(f"its tensors claim more than the {stored:,} bytes that are stored")
