"""The evaluation network of a DARTS cell: counts against the built network, receptive fields, where norms stand, drop-path."""

from __future__ import annotations

import copy
import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmarks.darts.cell import OPS, surviving
from benchmarks.darts.macro import CIFAR, IMAGENET, ExtraNorm, Macro, places
from benchmarks.darts.network import EvaluationCell, FactorizedReduce, Network, operation
from benchmarks.darts.published import published
from benchmarks.darts.size import Size, network_size, op_size
from benchmarks.darts.space import DartsSpace, Family, cells
from harness.space import Arch

TINY = Macro(width=4, depth=3, size=8, channels=1, auxiliary=False)
macros = st.sampled_from(
    [
        TINY,
        replace(TINY, depth=1),
        replace(TINY, depth=4, extra_norm="pooling"),
        replace(TINY, depth=4, extra_norm="all"),
        Macro(2, 2),
        Macro(2, 3, 7, size=64, stem="imagenet", auxiliary=False),
    ]
)
families: st.SearchStrategy[Family] = st.sampled_from(["single", "multi", "mixed"])


def sampled(family: Family, seed: int) -> Arch:
    return DartsSpace(family).sample(random.Random(seed))


def ops_of(network: Network) -> list[nn.ModuleList]:
    """Return the operations of each cell."""
    return [cell.ops for cell in network.cells if isinstance(cell, EvaluationCell)]


def counted(network: Network, images: Tensor) -> Size:
    """Parameters and multiply-adds of what really runs in evaluation, the auxiliary head left out."""
    total = 0

    def add(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output[0, 0].numel() * module.weight.numel()
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()

    hooks = [module.register_forward_hook(add) for module in network.modules()]
    network.eval()(images)
    for hook in hooks:
        hook.remove()
    parameters = sum(p.numel() for name, p in network.named_parameters() if not name.startswith("auxiliary."))
    return Size(parameters, total)


@given(families, st.integers(0, 2**32), macros)
@settings(max_examples=8, deadline=None)
def test_counts_are_those_of_the_network_that_runs(family: Family, seed: int, macro: Macro) -> None:
    arch = sampled(family, seed)
    network = Network(arch, macro)
    assert counted(network, torch.zeros(1, macro.channels, macro.size, macro.size)) == network_size(arch, macro)


def test_an_isomorphic_cell_is_the_same_network() -> None:
    """Two nodes exchanged: with the weights that read them exchanged too, the outputs are equal."""
    space = DartsSpace("mixed")
    text = "Genotype(normal={}, normal_concat=[2, 3], reduce=[[('skip_connect', 0)], [], [], []], reduce_concat=[2])"
    first_arch = space.from_str(text.format("[[('sep_conv_3x3', 0)], [('max_pool_3x3', 1)], [], []]"))
    second_arch = space.from_str(text.format("[[('max_pool_3x3', 1)], [('sep_conv_3x3', 0)], [], []]"))
    assert space.canonical(first_arch) == space.canonical(second_arch)
    macro = replace(TINY, depth=1)
    place = replace(next(places(first_arch, macro)), reduces=False, cell=cells(first_arch)[0])
    first, second = (EvaluationCell(replace(place, cell=cells(arch)[0]), "none").eval() for arch in (first_arch, second_arch))
    weights = first.state_dict()
    second.load_state_dict({name.replace("ops.0", "ops.1"): value for name, value in weights.items()})
    x = torch.randn(2, place.older, 8, 8)
    a, b = first(x, x), second(x, x)
    assert torch.equal(a, torch.cat([b[:, place.width :], b[:, : place.width]], 1))


REACH = {
    "max_pool_3x3": 1,
    "avg_pool_3x3": 1,
    "skip_connect": 0,
    "sep_conv_3x3": 2,
    "sep_conv_5x5": 4,
    "dil_conv_3x3": 2,
    "dil_conv_5x5": 4,
}
"""How many pixels away the furthest input lies."""


@pytest.mark.parametrize("op", OPS)
def test_receptive_fields(op: str) -> None:
    x = torch.randn(1, 4, 15, 15, requires_grad=True)
    body = operation(op, 4, 1).eval()
    body(x)[0, :, 7, 7].sum().backward()
    assert x.grad is not None
    rows, columns = torch.nonzero(x.grad.abs().sum((0, 1)), as_tuple=True)
    if op == "max_pool_3x3":  # only the largest pixel has a gradient
        assert rows.min() >= 6 and rows.max() <= 8 and columns.min() >= 6 and columns.max() <= 8
        return
    for seen in (rows, columns):
        assert (int(seen.min()), int(seen.max())) == (7 - REACH[op], 7 + REACH[op])
    if op.startswith("dil"):
        assert set(rows.tolist()) == set(range(7 - REACH[op], 8 + REACH[op], 2))


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("extra_norm", ["none", "pooling", "all"])
def test_every_operation_has_its_shape_its_norms_and_its_counts(op: str, stride: int, extra_norm: ExtraNorm) -> None:
    body = operation(op, 6, stride, extra_norm=extra_norm)
    assert body(torch.randn(2, 6, 8, 8)).shape == (2, 6, 8 // stride, 8 // stride)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in body.modules())
    plain = 2 if op.startswith("sep") else 1 if op.startswith("dil") or (op == "skip_connect" and stride == 2) else 0
    extra = {"none": 0, "pooling": int("pool" in op), "all": 1}[extra_norm]
    assert norms == max(plain, extra)
    assert sum(p.numel() for p in body.parameters()) == op_size(op, 6, stride, 64 // stride**2, extra_norm).parameters


def test_average_pooling_does_not_count_the_border() -> None:
    ones = torch.ones(1, 2, 4, 4)
    assert torch.equal(operation("avg_pool_3x3", 2, 1)(ones), ones)


def test_the_second_half_of_a_factorized_reduction_reads_the_pixel_further_right_and_down() -> None:
    module = FactorizedReduce(1, 2).eval()
    for conv in (module.first, module.second):
        nn.init.ones_(conv.weight)
    image = torch.arange(16.0).view(1, 1, 4, 4)
    out = module(image) * (1 + 1e-5) ** 0.5
    assert torch.allclose(out[0, 0], image[0, 0, ::2, ::2]) and torch.allclose(out[0, 1], image[0, 0, 1::2, 1::2])


@pytest.mark.parametrize("inputs", [2, 4, 6, 8, 12])
def test_gradients_of_a_factorized_reduction_are_exact_in_channels_last(inputs: int) -> None:
    torch.manual_seed(inputs)
    module, image = FactorizedReduce(inputs, 8).eval(), torch.randn(16, inputs, 8, 8)
    exact = copy.deepcopy(module).double()
    module(image.contiguous(memory_format=torch.channels_last)).square().sum().backward()
    exact(image.double()).square().sum().backward()
    for got, true in zip(module.parameters(), exact.parameters(), strict=True):
        assert got.grad is not None and true.grad is not None
        assert torch.allclose(got.grad.double(), true.grad, rtol=1e-4, atol=1e-2)


def test_norms_outside_the_operations_stand_in_the_stem_and_at_both_inputs_of_every_cell() -> None:
    network = Network(published()["DARTS_V2"], replace(TINY, depth=6))
    in_operations = sum(isinstance(m, nn.BatchNorm2d) for ops in ops_of(network) for m in ops.modules())
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) - in_operations == 1 + 2 * 6
    assert all(norm.affine for norm in norms)


def test_cells_reduce_at_a_third_and_two_thirds_and_the_next_one_halves_its_older_input() -> None:
    built = list(places(published()["DARTS_V1"], CIFAR))
    assert [number for number, place in enumerate(built) if place.reduces] == [6, 13]
    assert [number for number, place in enumerate(built) if place.older_larger] == [7, 14]
    assert [place.width for place in built] == [36] * 6 + [72] * 7 + [144] * 7
    assert [place.output_size for place in built] == [32] * 6 + [16] * 7 + [8] * 7
    mobile = list(places(published()["DARTS_V1"], IMAGENET))
    assert [number for number, place in enumerate(mobile) if place.reduces] == [4, 9]
    assert (mobile[0].size, mobile[0].older_larger, mobile[-1].output_size) == (28, True, 7)


def test_a_vanished_node_narrows_the_output() -> None:
    arch = sampled("mixed", 3)
    narrow = tuple(0 if position in (0, 1) else edge for position, edge in enumerate(arch))  # node 2 reads nothing
    assert len(surviving(cells(narrow)[0])) == 3
    network = Network(narrow, replace(TINY, depth=4))
    assert next(place.outputs for place in places(narrow, network.macro)) == 3 * 4
    assert network(torch.randn(2, 1, 8, 8))[0].shape == (2, 10)


def test_the_auxiliary_head_speaks_in_training_only() -> None:
    network = Network(published()["DARTS_V1"], Macro(width=2, depth=3, classes=7))
    x = torch.randn(2, 3, 32, 32)
    logits, auxiliary = network(x)
    assert logits.shape == (2, 7) and auxiliary is not None and auxiliary.shape == (2, 7)
    assert network.eval()(x)[1] is None
    with pytest.raises(ValueError, match="too small for the auxiliary head"):
        Macro(size=16)
    with pytest.raises(ValueError, match="extra_norm True is unknown"):
        Macro(size=32, extra_norm=True)  # type: ignore[arg-type]


def test_drop_path_drops_whole_operations_of_single_images_and_no_identity() -> None:
    network = Network(published()["DARTS_V1"], TINY)
    identities = sum(isinstance(op, nn.Identity) for ops in ops_of(network) for op in ops)
    assert identities and network.droppable == 3 * 8 * 2 - 24 - identities
    generator = torch.Generator().manual_seed(0)
    keep = network.drop_path(400, torch.tensor(0.25), generator)
    assert keep.shape == (network.droppable, 400, 1, 1, 1)
    assert set(keep.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert abs((keep == 0).float().mean().item() - 0.25) < 0.02

    x = torch.randn(3, 1, 8, 8)
    network.eval()
    ones = torch.ones(network.droppable, 3, 1, 1, 1)
    full, _ = network(x)
    assert torch.equal(network(x, ones)[0], full)
    ones[:, 1] = 0
    partial, _ = network(x, ones)
    assert torch.allclose(partial[0], full[0], atol=1e-5) and torch.allclose(partial[2], full[2], atol=1e-5)
    assert not torch.allclose(partial[1], full[1], atol=1e-5)


@pytest.mark.parametrize(("extra_norm", "dropped"), [("none", 142), ("pooling", 142), ("all", 160)])
def test_drop_path_spares_bare_identities_only(extra_norm: ExtraNorm, dropped: int) -> None:
    """In the network of one-stage ISTA-NAS every identity has a norm, and drop-path drops it like every other operation."""
    assert Network(published()["ISTA_NAS_ONE_STAGE"], replace(CIFAR, width=2, extra_norm=extra_norm)).droppable == dropped
    arch = DartsSpace("mixed").from_str(
        "Genotype(normal=[[('skip_connect', 0)], [], [], []], normal_concat=[2],"
        " reduce=[[('max_pool_3x3', 0)], [], [], []], reduce_concat=[2])"
    )
    place = replace(next(places(arch, replace(TINY, depth=3))), reduces=False, cell=cells(arch)[0])
    cell = EvaluationCell(place, extra_norm)
    images = torch.randn(2, 1, place.older, 8, 8)
    output = cell(*images, torch.zeros(cell.droppable, 1, 1, 1, 1))
    assert bool((output == 0).all()) == (extra_norm == "all")


def test_dropping_everything_leaves_the_identities() -> None:
    arch = DartsSpace("mixed").from_str(
        "Genotype(normal=[[('skip_connect', 0), ('sep_conv_3x3', 1)], [], [], []], normal_concat=[2],"
        " reduce=[[('max_pool_3x3', 0)], [], [], []], reduce_concat=[2])"
    )
    place = replace(next(places(arch, replace(TINY, depth=3))), reduces=False, cell=cells(arch)[0])
    cell = EvaluationCell(place, "none")
    older, newer = torch.randn(2, 1, place.older, 8, 8)
    dropped = cell(older, newer, torch.zeros(cell.droppable, 1, 1, 1, 1))
    assert torch.equal(dropped, cell.older(older.relu()))
