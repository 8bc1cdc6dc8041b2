"""The schedule of a search that trains: its own epochs, or as many as its budget allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import length_hint
from typing import Any, TypeVar

from harness.budget import BudgetTooSmall, Spending
from harness.errors import UserError

Item = TypeVar("Item")
MARGIN = 1.1
"""Factor of the expected price of what follows the steps of an epoch, or the last epoch, that a fitted schedule keeps."""
ROUNDING = 1e-9
"""Relative error of sums of prices."""


class Schedule:
    """The epochs of a search, and its position among them.

    Without a budget to fit (policy ``fit``) these are the epochs of the method's own schedule. Under such a budget the search
    takes as many epochs as the limit allows, and everything that its own schedule states in epochs (learning rate,
    temperature, warm-up, penalties) follows :attr:`position`, which runs with the share of the budget that is spent. Prices
    of an epoch drift while a search learns, so no number of epochs is fixed in advance. All prices come from the ledger, none
    from a real clock.

    Args:
        spending: the ledger.
        epochs: length of the method's own schedule, at least 1.
    """

    def __init__(self, spending: Spending, epochs: int) -> None:
        if epochs < 1:
            raise ValueError(f"a schedule of {epochs} epochs; it has at least 1")
        self.length = epochs
        self.fitted = spending.policy == "fit" and spending.currency is not None
        self.reserve = 0.0
        """Amount that the search keeps for what follows its last epoch, such as the evaluation of candidates."""
        self.lesson = 0.0
        """Expected price of what follows the steps of an epoch, such as lessons of a controller."""
        self._spending = spending
        self._epoch = 0
        self._begin = 0.0
        """Amount spent at the start of the epoch."""
        self._longest = 0.0
        """Largest price of an epoch so far; within the first, its expected price."""
        self._reached = 0.0
        """Largest share so far of the way to the last epoch, as :attr:`position` returns it."""
        self._step = 0.0
        """Largest price of a step so far."""
        self._after = 0.0
        """Largest price so far of what followed the steps of an epoch, such as a selection, with the margin."""
        self._end_of_steps: float | None = None

    @property
    def position(self) -> float:
        """Return the moment in the method's own schedule: from 0, its first epoch, to ``length - 1``, its last.

        Under a budget, the last epoch that it pays for is at ``length - 1`` from its start, as in the method's own schedule. If
        it pays for fewer than two epochs, this is so for the last half of it. The position never runs back. The share of the
        way that a step runs is at most four times the share of the budget that it costs, if the reserve stays the same.
        """
        return (self.length - 1) * self._way if self.fitted else float(self._epoch)

    @property
    def _way(self) -> float:
        """Return the share of the way to the last epoch, from 0 to 1."""
        until_last = max(self._usable - self._longest, self._usable / 2)
        return max(self._reached, min(self._spent / until_last, 1.0)) if until_last > 0 else 1.0

    @property
    def share(self) -> float:
        """Return the share of the schedule that is done, from 0 to 1."""
        if not self.fitted:
            return self._epoch / self.length
        return min(self._spent / self._usable, 1.0) if self._usable > 0 else 1.0

    @property
    def _usable(self) -> float:
        """Return the amount that the epochs may spend."""
        return float(self._spending.limit - self.reserve)

    @property
    def _spent(self) -> float:
        return self._spending.spent(self._spending.currency) if self._spending.currency else 0.0

    def epochs(self, first: int = 0) -> Iterator[int]:
        """Yield the numbers of the epochs, from ``first`` on.

        Raises:
            BudgetTooSmall: the budget to fit does not pay for the first epoch and the reserve.
            UserError: an epoch costs nothing in the limited currency.
        """
        self._epoch = first
        while self._allows_epoch():
            self._begin, self._end_of_steps = self._spent, None
            yield self._epoch
            if self.fitted:
                self._check(self._spent - self._begin)
            self._note()
            self._epoch += 1

    def steps(self, batches: Iterable[Item], number: int = 0) -> Iterator[Item]:
        """Yield the batches of one epoch, as far as the budget allows another step.

        The first epoch goes on as far as the limit allows, so that its price is known.

        Args:
            batches: the batches.
            number: number of the batches, by which the first steps price the first epoch; 0: their length.

        Raises:
            BudgetTooSmall: the budget to fit does not allow the whole first epoch.
        """
        rest, number = iter(batches), number or length_hint(batches)
        for done, batch in enumerate(rest):
            if self.fitted and not self._allows_step():
                if self._epoch == 0:
                    steps = done + 1 + sum(1 for _ in rest)
                    raise self._too_small(steps * self._step + self.lesson)
                break
            before = self._spent
            yield batch
            self._step = max(self._step, self._spent - before)
            if self._epoch == 0:
                self._longest = (self._spent - self._begin) * max(number / (done + 1), 1.0) + self.lesson
            self._reached = self._way
        self._end_of_steps = self._spent
        if self.fitted:
            self._check(self._spent - self._begin + self.lesson)

    def _allows_epoch(self) -> bool:
        if not self.fitted:
            return self._epoch < self.length
        return not self._spending.exhausted and (self._epoch == 0 or self._allows_step())

    def _allows_step(self) -> bool:
        if self._epoch == 0:
            return self._spent + self._step <= float(self._spending.limit)
        return self._spent + self._step + max(self._after, self.lesson) <= self._usable

    def _check(self, price: float) -> None:
        """Raise an error if this price of an epoch is no price, or if it is the first and the budget does not pay for it."""
        if not price and not self._spending.exhausted:
            raise UserError(f"an epoch of this search is charged no {self._spending.currency}, so it fits no such budget")
        if self._epoch == 0 and price > self._usable * (1 + ROUNDING):
            raise self._too_small(price)

    def _note(self) -> None:
        """Note the prices of the epoch so far."""
        price = self._spent - self._begin
        self._longest = max(self._longest, price) if self._epoch else price
        self._reached = self._way
        if self._end_of_steps is None:
            self._step = max(self._step, price)
        else:
            self._after = max(self._after, MARGIN * (self._spent - self._end_of_steps))

    def _too_small(self, epoch: float) -> BudgetTooSmall:
        """Return the error for a budget that does not pay for an epoch of this price and the reserve."""
        return BudgetTooSmall(self.reserve + epoch, str(self._spending.currency))

    def state_dict(self) -> dict[str, Any]:
        """Return what a search needs that resumes after this epoch. The ledger is stored elsewhere."""
        self._note()
        return {
            "reserve": self.reserve,
            "longest": self._longest,
            "reached": self._reached,
            "step": self._step,
            "after": self._after,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reserve, self._longest, self._reached = state["reserve"], state["longest"], state["reached"]
        self._step, self._after = state["step"], state["after"]
