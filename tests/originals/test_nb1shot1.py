"""The supernet of NAS-Bench-1Shot1 in training, against its definition: DARTS and PC-DARTS, and all their gradients."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
import torch
from scipy.stats import chi2_contingency
from torch import Tensor

from benchmarks.nb1shot1.cell import InvalidCell, prune
from benchmarks.nb1shot1.space import PARENTS, NB1Shot1Space
from benchmarks.nb1shot1.supernet import SearchMacro, Supernet
from tests.originals.layers import cross_entropy, perturb, softmax
from tests.originals.plain_nb1shot1 import OPERATIONS, PlainNetwork

LABELS = torch.tensor([3, 1, 4, 1])


def supernet(number: int, partial: int) -> Supernet:
    net = Supernet(NB1Shot1Space(number), SearchMacro(width=8, channels=3, partial=partial), seed=2)
    perturb(net.module.double())
    return net


def plain(net: Supernet, free: int, partial: int) -> PlainNetwork:
    """Return the plain network with the weights of the supernet, named one by one."""
    stored = dict(net.module.named_parameters())
    weights: dict[str, Tensor] = {"last.weight": stored["last.weight"]}
    for part in ("weight", "bias"):
        weights |= {f"classifier.{part}": stored[f"classifier.{part}"], f"stem.norm.{part}": stored[f"stem.norm.{part}"]}
    weights["stem.weight"] = stored["stem.conv.weight"]
    for cell in range(9):
        c = 8 << cell // 3
        slices = {str(block): slice((block - 1) * c, block * c) for block in range(1, net.blocks + 1)}
        slices["output"] = slice(net.blocks * c, 2 * net.blocks * c)
        for name, rows in slices.items():
            weights[f"cells.{cell}.input.{name}.weight"] = stored[f"cells.{cell}.projection.conv.weight"][rows]
            for part in ("weight", "bias"):
                weights[f"cells.{cell}.input.{name}.norm.{part}"] = stored[f"cells.{cell}.projection.norm.{part}"][rows]
        for block, op in itertools.product(range(1, net.blocks + 1), range(2)):
            layer = f"cells.{cell}.mixed.{block - 1}.convs.{op}"
            weights[f"cells.{cell}.{block}.{OPERATIONS[op]}.weight"] = stored[f"{layer}.conv.weight"]
            for part in ("weight", "bias"):
                weights[f"cells.{cell}.{block}.{OPERATIONS[op]}.norm.{part}"] = stored[f"{layer}.norm.{part}"]
    return PlainNetwork(weights, net.blocks, free, partial)


@pytest.mark.parametrize(("number", "free"), [(1, 3), (3, 2)])
@pytest.mark.parametrize("partial", [1, 4])
def test_logits_and_all_gradients(number: int, free: int, partial: int) -> None:
    """Of space 1 and 3; ``partial`` 4 is PC-DARTS, whose weights of inputs and output are the same softmaxes."""
    net = supernet(number, partial)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64)
    alphas = [
        torch.randn(d.rows, len(d.options), generator=generator, dtype=torch.float64).requires_grad_() for d in net.decisions
    ]
    operations, output, *inputs = (softmax(alpha) for alpha in alphas)
    blocks = range(free, net.blocks + 1)
    assert [decision.name for decision in net.decisions] == ["operations", "output", *(f"inputs {block}" for block in blocks)]
    network = plain(net, free, partial)
    expected = network.logits(x, operations, output[0], dict(zip(blocks, (table[0] for table in inputs), strict=True)))
    ours = net(x, [alpha.softmax(-1) for alpha in alphas])
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-10)
    values = [*alphas, *net.module.parameters()]
    mine, theirs = (torch.autograd.grad(cross_entropy(y, LABELS), values) for y in (ours, expected))
    for gradient, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-7, atol=1e-10)


# -- cells -----------------------------------------------------------------------------------------------------------------


def between(matrix: list[list[int]]) -> list[int]:
    """Return the vertices on a path from the first vertex to the last, by listing all paths."""
    last, used = len(matrix) - 1, set()
    paths = [[0]]
    while paths:
        path = paths.pop()
        if path[-1] == last:
            used |= set(path)
        paths += [[*path, vertex] for vertex in range(last + 1) if matrix[path[-1]][vertex]]
    return sorted(used)


def test_pruning_keeps_what_lies_on_a_path() -> None:
    """Of 3 000 random graphs of NAS-Bench-101; disconnected ones and those of more than nine edges are refused."""
    rng = random.Random(1)
    outcomes: Counter[str] = Counter()
    for _ in range(3000):
        size = rng.randint(2, 7)
        density = rng.choice([0.3, 0.5, 0.8])
        matrix = [[int(target > source and rng.random() < density) for target in range(size)] for source in range(size)]
        ops = [rng.randrange(3) for _ in range(size - 2)]
        used = between(matrix)
        expected = tuple(tuple(matrix[source][target] for target in used) for source in used)
        if not used or sum(map(sum, expected)) > 9:
            outcomes["refused" if used else "disconnected"] += 1
            with pytest.raises(InvalidCell):
                prune(matrix, ops)
            continue
        outcomes["smaller" if len(used) < size else "same"] += 1
        assert prune(matrix, ops) == (expected, tuple(ops[vertex - 1] for vertex in used[1:-1]))
    assert min(outcomes[kind] for kind in ("refused", "disconnected", "smaller", "same")) > 100


def test_the_parents_of_every_node_are_those_of_the_paper() -> None:
    """From the lists of the three spaces; the last number is that of the output."""
    assert PARENTS == {1: (1, 2, 2, 2, 2), 2: (1, 1, 2, 2, 3), 3: (1, 1, 1, 2, 2, 2)}


def grown(number: int, rng: random.Random) -> tuple[tuple[int, ...], ...]:
    """Draw the parents of every node that reaches the output, from the output backwards; () for all other nodes."""
    counts = PARENTS[number]
    parents: dict[int, tuple[int, ...]] = {}
    waiting = [len(counts)]
    while waiting:
        node = waiting.pop()
        if node not in parents and node > 0:
            parents[node] = tuple(sorted(rng.sample(range(node), counts[node - 1])))
            waiting += parents[node]
    return tuple(parents.get(node, ()) for node in range(1, len(counts) + 1))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_sampling_without_loose_ends_has_the_distribution_of_growing_from_the_output(number: int) -> None:
    space, rng, draws = NB1Shot1Space(number), random.Random(3), 6000
    ours: Counter[tuple[tuple[int, ...], ...]] = Counter()
    for _ in range(draws):
        arch = space.without_loose_ends(space.sample(rng))
        used = space.used(arch)
        ours[tuple(p if node in used else () for node, p in enumerate(space.parents(arch), 1))] += 1
    theirs = Counter(grown(number, rng) for _ in range(draws))
    frequent = [wiring for wiring in ours | theirs if ours[wiring] + theirs[wiring] >= 10]
    assert len(frequent) > 40
    assert chi2_contingency([[counts[wiring] for wiring in frequent] for counts in (ours, theirs)]).pvalue > 1e-3
