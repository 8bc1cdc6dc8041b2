"""The plain network is the paper's: its sizes are those that the benchmark records, and dead paths are dead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.digits_tables.nb201_statistics import live
from benchmarks.nb201.macro import PAPER, Macro
from benchmarks.nb201.network import (
    Network,
    initial_parameters,
    macs,
    parameter_shapes,
    parameters,
    used_edges,
)
from benchmarks.nb201.space import NB201Space

ARCH = st.tuples(*[st.integers(0, 4)] * 6)
SMALL = Macro(width=4, depth=1, channels=1, size=8, stem=1, reduction="pool")


def test_sizes_of_known_cells() -> None:
    """All convolutions 3x3, nothing but identity, nothing at all: values of the official table."""
    for cell, params, flops in (((3,) * 6, 1531546, 220119690), ((1,) * 6, 73306, 7783050), ((0,) * 6, 73306, 7783050)):
        assert (parameters(cell), macs(cell)) == (params, flops)


def test_sizes_are_those_of_the_table() -> None:
    folders = [Path(part) for part in os.environ.get("NAS_DATA", "").split(os.pathsep) if part]
    files = [path for folder in folders for path in folder.rglob("nb201_columns.parquet")]
    if not files:
        pytest.skip("no nb201_columns.parquet under NAS_DATA")
    import pyarrow.parquet as pq

    table = pq.read_table(files[0], columns=["arch_str", "c10_params_M", "c10_flops_M"]).to_pylist()
    space = NB201Space()
    for row in table[::7]:
        cell = space.from_str(row["arch_str"])
        assert parameters(cell) == round(row["c10_params_M"] * 1e6)
        assert macs(cell) == round(row["c10_flops_M"] * 1e6)


@pytest.mark.parametrize("macro", [Macro(depth=2), Macro(width=8, depth=1, reduction="pool", stem=1), Macro(affine=False)])
def test_shapes_are_those_of_the_modules(macro: Macro) -> None:
    cell = (3, 2, 1, 0, 4, 3)
    modules = {name: tuple(value.shape) for name, value in Network(cell, macro).named_parameters()}
    assert list(modules.items()) == list(parameter_shapes(cell, macro).items())
    assert sum(value.numel() for value in Network(cell, macro).parameters()) == parameters(cell, macro)


def test_the_paper_s_network_takes_cifar_images() -> None:
    assert Network((1,) * 6, PAPER)(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@settings(max_examples=30, deadline=None)
@given(ARCH)
@example((0, 0, 0, 0, 0, 2))
def test_exactly_the_unused_edges_have_no_gradient(cell: tuple[int, ...]) -> None:
    network = Network(cell, SMALL).load(initial_parameters(cell, SMALL, 1))
    network(torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    used = used_edges(cell)
    for name, value in network.named_parameters():
        if name.startswith("stages.2.") or (name.startswith("stages.") and live(cell)):  # a dead cell reads no stage before it
            assert (value.grad is not None) == (int(name.split(".")[3]) in used), name


def test_the_value_of_a_node_is_the_sum_over_its_edges() -> None:
    network = Network((1, 1, 1, 1, 1, 1), SMALL)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    cell = network.stages[0][0]  # type: ignore[index]
    torch.testing.assert_close(cell(x), 4 * x)


def test_initialisation_depends_on_the_seed_alone() -> None:
    first, again, different = (initial_parameters((3,) * 6, SMALL, seed) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], different["classifier.weight"])


@pytest.mark.parametrize("wrong", [{"stem": 5}, {"reduction": "stride"}, {"size": 10}])
def test_an_impossible_skeleton_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        Macro(**wrong)  # type: ignore[arg-type]
