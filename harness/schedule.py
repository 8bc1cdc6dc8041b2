"""The schedule of a search that trains: its own epochs, or as many as its budget allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from harness.budget import BudgetTooSmall, Spending
from harness.errors import UserError

Item = TypeVar("Item")
MARGIN = 1.1
"""Factor of the expected price of what follows the steps of an epoch, or the last epoch, that a fitted schedule keeps."""


class Schedule:
    """The epochs of a search, and its position among them.

    Without a budget to fit (policy ``fit``) these are the epochs of the method's own schedule. Under such a budget the search
    takes as many epochs as the limit allows, and everything that its own schedule states in epochs (learning rate,
    temperature, warm-up, penalties) follows :attr:`position`, which runs with the share of the budget that is spent. Prices
    of an epoch drift while a search learns, so no number of epochs is fixed in advance. All prices come from the ledger, none
    from a real clock.

    Args:
        spending: the ledger.
        epochs: length of the method's own schedule.
    """

    def __init__(self, spending: Spending, epochs: int) -> None:
        self.length = epochs
        self.fitted = spending.policy == "fit" and spending.currency is not None
        self.reserve = 0.0
        """Amount that the search keeps for what follows its last epoch, such as the evaluation of candidates."""
        self._spending = spending
        self._epoch = 0
        self._step = 0.0
        """Largest price of a step so far."""
        self._after = 0.0
        """Largest price so far of what followed the steps of an epoch, such as a selection, with the margin."""
        self._end_of_steps: float | None = None

    @property
    def position(self) -> float:
        """Return the moment in the method's own schedule: from 0, its first epoch, to ``length - 1``, its last."""
        return self.share * (self.length - 1) if self.fitted else float(self._epoch)

    @property
    def share(self) -> float:
        """Return the share of the schedule that is done, from 0 to 1."""
        if not self.fitted:
            return self._epoch / self.length
        return min(self._spent / self._usable, 1.0) if self._usable > 0 else 1.0

    @property
    def _usable(self) -> float:
        """Return the amount that the steps may spend."""
        return float(self._spending.limit - self.reserve)

    @property
    def _spent(self) -> float:
        return self._spending.spent(self._spending.currency) if self._spending.currency else 0.0

    def epochs(self, first: int = 0) -> Iterator[int]:
        """Yield the numbers of the epochs, from ``first`` on.

        Raises:
            BudgetTooSmall: the budget to fit allows no epoch.
            UserError: an epoch costs nothing in the limited currency.
        """
        self._epoch = first
        while self._allows_epoch():
            self._end_of_steps = None
            yield self._epoch
            if self.fitted and not self._spent:
                raise UserError(f"this search is charged no {self._spending.currency}, so its schedule fits no such budget")
            if self._end_of_steps is not None:
                self._after = max(self._after, MARGIN * (self._spent - self._end_of_steps))
            self._epoch += 1

    def steps(self, batches: Iterable[Item]) -> Iterator[Item]:
        """Yield the batches of one epoch, as far as the budget allows another step.

        Raises:
            BudgetTooSmall: the budget to fit does not allow the whole first epoch.
        """
        rest = iter(batches)
        for done, batch in enumerate(rest):
            if self.fitted and not self._allows_step():
                if self._epoch == 0:
                    self._refuse(done, 1 + sum(1 for _ in rest))
                break
            before = self._spent
            yield batch
            self._step = max(self._step, self._spent - before)
        self._end_of_steps = self._spent

    def _allows_epoch(self) -> bool:
        if not self.fitted:
            return self._epoch < self.length
        if self._usable <= 0:
            self._refuse(0, 0)
        return self._epoch == 0 or self._allows_step()

    def _allows_step(self) -> bool:
        return self._spent + self._step + self._after <= self._usable

    def _refuse(self, done: int, missing: int) -> None:
        """Raise :class:`BudgetTooSmall` with the price of an epoch and of what is reserved."""
        epoch = self._spent * (done + missing) / done if done else 0.0
        raise BudgetTooSmall(self.reserve + epoch, str(self._spending.currency))

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed search needs. The ledger is stored elsewhere."""
        return {"reserve": self.reserve, "step": self._step, "after": self._after}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reserve, self._step, self._after = state["reserve"], state["step"], state["after"]
