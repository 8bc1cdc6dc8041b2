"""Delivers the network of a random cell: the variant ``well`` as it should, all others with one fault."""

import io
import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from harness.delivery import Delivery
from harness.space import Arch
from harness.view import SearchView

HOW = (
    *("well", "nonsense", "for_another", "of_another", "for_other_images", "wide", "deep", "strange_setting", "past_the_view"),
    *("pickle", "compressed", "claims_10_GB", "half", "too_many_bytes", "late_proposal", "other_numbers"),
)


def packed(records: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return stream.getvalue()


def unpacked(weights: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(weights)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def claiming(weights: bytes) -> bytes:
    """Return weights whose first tensor, of 108 numbers, claims to be a part of 10^10 numbers."""
    records = unpacked(weights)
    storage = rb"(X\x01\x00\x00\x000q.X\x03\x00\x00\x00cpuq.)K\x6c"
    claimed, count = re.subn(
        storage, rb"\1" + b"\x8a\x05" + (10**10).to_bytes(5, "little"), records["archive/data.pkl"], flags=re.S
    )
    assert count == 1
    return packed({**records, "archive/data.pkl": claimed})


class Runs:
    """Its pickle runs a command."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, ("touch /tmp/delivered-by-a-test",)


@dataclass(frozen=True)
class Bad:
    """Delivers the network of a random cell: the variant ``well`` as it should, all others with one fault."""

    how: Annotated[str, "fault of the delivery"] = "well"

    reference: ClassVar[str] = "none"
    kind: ClassVar[str] = "one-shot"
    proposes: ClassVar[str] = "self"
    variants: ClassVar[dict[str, dict[str, object]]] = {name: {"how": name} for name in HOW}

    def search(self, view: SearchView) -> None:
        import torch

        from benchmarks.darts.macro import Macro
        from benchmarks.darts.network import Network
        from benchmarks.darts.stand_alone import StandAlone

        def network(arch: Arch, **changes: Any) -> StandAlone:
            return StandAlone(Network(arch, Macro(**{**small, **changes})))

        torch.manual_seed(view.seed("weights"))
        small = {"width": 4, "depth": 3, "channels": 1, "size": 8, "auxiliary": False}
        arch, other = view.space.sample(view.rng), view.space.sample(view.rng)
        view.propose(arch)
        good = network(arch)
        weights, settings = good.weights(), dict(good.settings)
        stream = io.BytesIO()
        if self.how == "nonsense":
            weights = b"nonsense" * 10_000
        elif self.how == "of_another":
            weights = network(other).weights()
        elif self.how == "for_other_images":
            settings["channels"] = 3
        elif self.how == "wide":
            settings["width"] = 10**6
        elif self.how == "deep":
            settings["depth"] = 10**9
        elif self.how == "strange_setting":
            settings["windows"] = 2
        elif self.how == "pickle":
            torch.save({"stem.0.weight": Runs(), "more": torch.zeros(100_000)}, stream)
            weights = stream.getvalue()
        elif self.how == "compressed":
            weights = packed(unpacked(weights), zipfile.ZIP_DEFLATED)
        elif self.how == "claims_10_GB":
            weights = claiming(weights)
        elif self.how == "half":
            weights = weights[: len(weights) // 2]
        elif self.how == "too_many_bytes":
            weights = bytes(2**28 + 1)
        elif self.how == "other_numbers":
            torch.save({name: value.double() for name, value in torch.load(io.BytesIO(weights)).items()}, stream)
            weights = stream.getvalue()
        view.deliver(other if self.how == "for_another" else arch, weights, **settings)
        if self.how == "past_the_view":
            view._trace.delivery = Delivery(arch, "text", {})  # type: ignore[arg-type]
        if self.how == "late_proposal":
            view.propose(other)
