"""The search of CoNAS: train random cells, measure cells, recover a polynomial, minimise it (arXiv:1906.02869)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from harness.budget import BudgetExhausted
from harness.space import Arch
from harness.view import SearchView
from methods.one_shot.parts import operations
from methods.one_shot.parts.fourier import largest_terms, lasso, minimise, monomials, parities
from methods.one_shot.parts.passes import Forward
from methods.one_shot.parts.search import Search
from methods.one_shot.parts.switches import Switches

if TYPE_CHECKING:
    from methods.one_shot.conas import Conas


def search(view: SearchView, settings: Conas) -> Arch:
    """Train the supernet on random cells. Return the cell that minimises the recovered polynomial.

    A fitted schedule keeps the price of one round of measuring; see :func:`recovered`.
    """
    search = Search(view, settings, none=False, **operations.choices(settings.operations))
    switches = Switches(search.net.decisions)
    search.draw = lambda: Forward(active=switches.active(_on(switches.drawn(search.rng))))
    measured_images = min(settings.batch, search.task.images["valid"])
    images = settings.measured_batches * measured_images or search.task.images["plain"]
    rounds = 1 if search.schedule.fitted else settings.rounds
    for epoch in search.epochs(evaluated=rounds * settings.measurements * images):
        for batch in search.steps(search.task.batches("train", settings.batch, epoch)):
            cell = search.draw()
            search.step_weights(search.loss(batch, cell))
        search.record(cell)
    return chosen(search, switches, recovered(search, switches, settings), settings.most_inputs)


@dataclass
class Minimiser:
    """What the rounds of measuring have recovered."""

    effects: npt.NDArray[np.float64]
    """For each position, the covariance of its sign with the measured loss."""
    signs: dict[int, int] = field(default_factory=dict)
    """Signs of the positions in the polynomial; all other positions are undetermined."""
    expansion: dict[tuple[int, ...], float] = field(default_factory=dict)
    """The polynomial: coefficients of its monomials."""

    def weight(self, position: int) -> float:
        """Return the weight of an input: its own coefficient plus half of those it shares, in absolute value."""
        terms = ((monomial, value) for monomial, value in self.expansion.items() if position in monomial)
        return abs(sum(value / len(monomial) for monomial, value in terms))


def recovered(search: Search, switches: Switches, settings: Conas) -> Minimiser:
    """Measure, fit, minimise and freeze, until every node has its inputs or the rounds are used up.

    Under a budget that the schedule fits, training leaves enough for one round. A further round that the rest of the budget
    does not pay for is not begun.
    """
    minimiser = Minimiser(np.zeros(switches.count))
    for number in range(settings.rounds):
        if number and search.schedule.fitted and search.schedule.reserve > search.view.budget.left:
            break
        codes, losses = measured(search, switches, settings, minimiser.signs, number)
        usable = np.isfinite(losses) & (losses <= settings.threshold)
        search.view.log(measured=float(len(losses)), usable=float(usable.sum()), round=float(number))
        if usable.sum() < 2:
            break
        # a switch that never changes (decided by another switch of its edge) would repeat the constant
        free = [position for position in np.flatnonzero(np.ptp(codes, axis=0)).tolist() if position not in minimiser.signs]
        if not free:
            break
        codes, losses = codes[usable], losses[usable]
        minimiser.effects[free] = ((codes - codes.mean(0)) * (losses - losses.mean())[:, None]).mean(0)[free]
        coefficients = lasso(parities(codes[:, free]), losses, settings.penalty, settings.scale)
        expansion = largest_terms(coefficients, monomials(free), settings.terms, settings.constant_counts)
        minimiser.expansion.update(expansion)
        minimiser.signs.update(minimise(expansion))
        if enough(switches, minimiser.signs, settings.inputs):
            break
    return minimiser


def measured(
    search: Search, switches: Switches, settings: Conas, frozen: Mapping[int, int], number: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return codes (m, switches) of +1 / -1, and mean losses (m,) on consecutive batches, other ones for each cell.

    If the budget ends, these are fewer cells than requested.

    Args:
        frozen: signs of the positions that no longer change.
        number: number of the round.
    """
    passes = (search.task.batches("valid", settings.batch, number, f"measurements {k}") for k in itertools.count())
    batches = itertools.chain.from_iterable(passes)
    codes: list[list[int]] = []
    losses: list[torch.Tensor] = []
    try:
        for _ in range(settings.measurements):
            code = switches.drawn(search.rng, frozen)
            forward = Forward(active=switches.active(_on(code)))
            if settings.measured_batches:
                scores = [search.score(next(batches), forward)[1] for _ in range(settings.measured_batches)]
                losses.append(torch.stack(scores).mean())
            else:
                losses.append(torch.tensor(search.validate(forward)[1]))
            codes.append(code)
    except BudgetExhausted:
        if not codes and not number:
            raise  # nothing is measured that a cell could be chosen by
    if not codes:
        return np.empty((0, switches.count)), np.empty(0)
    return np.array(codes, dtype=float), torch.stack(losses).double().cpu().numpy()


def chosen(search: Search, switches: Switches, minimiser: Minimiser, most_inputs: int = 0) -> Arch:
    """Return the architecture of the switches that are on.

    The papers do not define a cell without any input. Such a cell gets further switches, those that lower the measured loss
    most, until it is in the space.

    Args:
        most_inputs: operations per node at most, those of largest weight; 0: all.
    """
    on = {position for position, sign in minimiser.signs.items() if sign > 0}
    if most_inputs:
        for edges in switches.entering(on).values():
            entering = sorted((position for edge in edges for position in edge), key=minimiser.weight, reverse=True)
            on -= set(entering[most_inputs:])
    for number, _, positions in switches.rows:
        lit = [position for position in positions if position in on]
        if not search.net.decisions[number].several and len(lit) > 1:
            on -= set(lit) - {search.rng.choice(lit)}
    order = sorted(
        (position for position in range(switches.count) if position not in on),
        key=lambda position: (minimiser.signs.get(position, 0) < 0, minimiser.effects[position]),
    )
    while (arch := search.net.arch_of(switches.active(on))) not in search.view.space:
        full = _full(switches, on, most_inputs)
        added = next(position for position in order if switches.node[position] not in full)
        order.remove(added)
        on.add(added)
    return arch


def _full(switches: Switches, on: set[int], most_inputs: int) -> set[tuple[int, int]]:
    """Return the nodes that take no more operations."""
    if not most_inputs:
        return set()
    return {node for node, edges in switches.entering(on).items() if sum(map(len, edges)) >= most_inputs}


def enough(switches: Switches, signs: Mapping[int, int], inputs: int) -> bool:
    """Return True if every node has its inputs: edges on which a switch is on.

    If an edge takes a single operation and all its switches are off, it is ``none`` on purpose, and counts too. An edge on
    which nothing is on and something is undetermined does not count.
    """
    named: dict[tuple[int, int], list[bool]] = {}
    for number, target, positions in switches.rows:
        highest = max(signs.get(position, 0) for position in positions)
        none = highest < 0 and not switches.decisions[number].several
        named.setdefault((number, target), []).append(highest > 0 or none)
    return all(sum(edges) >= min(inputs, len(edges)) for edges in named.values())


def _on(code: Sequence[int]) -> list[int]:
    """Return the positions that are on."""
    return [position for position, sign in enumerate(code) if sign > 0]
