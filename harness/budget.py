"""The ledger: the amounts that a search has spent in each currency, and their limit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

CURRENCIES: Final = ("queries", "seconds", "epochs", "macs")
POLICIES: Final = ("refuse", "allow_last", "fit")
_INFINITE: Final = math.inf


class BudgetExhausted(BaseException):
    """The end of a search: the budget is spent.

    It is a ``BaseException``: a method's ``except Exception`` does not catch it. Every later charge raises it again.
    """


class BudgetTooSmall(BudgetExhausted):
    """The end of a search that could not begin: its budget does not pay for its smallest schedule.

    Args:
        needs: an amount that suffices, as far as the search knows: its steps so far priced all steps of an epoch.
        currency: the limited currency.
    """

    def __init__(self, needs: float, currency: str) -> None:
        super().__init__(f"needs at least {rounded_up(needs)} {currency}")


def rounded_up(amount: float) -> str:
    """Return a positive amount with three significant digits that is not smaller."""
    exact = Decimal(amount)
    return f"{float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - 2), ROUND_CEILING)):g}"


class Ledger:
    """Ledger of a search in all currencies. At most one currency is limited.

    Args:
        currency: the limited currency, or ``None`` if there is no limit (a method's own schedule).
        limit: the amount of it that may be spent.
        policy: ``refuse``: a charge that would cross the limit is not made and ends the search;
            ``allow_last``: the charge that crosses is made, and is the last;
            ``fit``: as ``refuse``, and a search with a schedule fits it to the limit (:mod:`harness.schedule`).

    Currencies: ``queries``; ``seconds`` (charged, in the benchmark's own seconds); ``epochs`` (passes over the training
    images); ``macs`` (multiply-adds). Currencies that a benchmark names are in ``extra`` and may be limited as well.

    Only the harness has this object. A method has a :class:`Spending`.
    """

    __slots__ = (
        "_currency", "_limit", "_policy", "_exhausted",
        "_queries", "_seconds", "_epochs", "_macs", "_extra", "_wanted",
    )  # fmt: skip

    def __init__(self, currency: str | None = None, limit: float = math.inf, policy: str = "refuse") -> None:
        if policy not in POLICIES:
            raise ValueError(f"budget policy {policy!r} is not one of {', '.join(POLICIES)}")
        if not limit > 0:
            raise ValueError(f"a budget of {limit:g} {currency} allows nothing; it must be above zero")
        self._currency = currency
        self._limit = limit
        self._policy = policy
        self._queries = 0
        self._seconds = 0.0
        self._epochs = 0.0
        self._macs = 0.0
        self._extra: dict[str, float] = {}
        self._exhausted = False
        self._wanted = 0.0

    currency = property(lambda self: self._currency, doc="The limited currency, or None.")
    limit = property(lambda self: self._limit, doc="The amount of it that may be spent.")
    policy = property(lambda self: self._policy, doc="The rule at the limit.")
    queries = property(lambda self: self._queries, doc="Queries made.")
    seconds = property(lambda self: self._seconds, doc="Charged seconds, by the benchmark's clock.")
    epochs = property(lambda self: self._epochs, doc="Passes over the training images.")
    macs = property(lambda self: self._macs, doc="Multiply-adds.")
    exhausted = property(lambda self: self._exhausted, doc="Whether the search is over.")
    wanted = property(lambda self: self._wanted, doc="The limited currency with the charge that was refused; 0 if none was.")

    @property
    def extra(self) -> dict[str, float]:
        """Return the amounts spent in currencies that a benchmark names."""
        return dict(self._extra)

    def spent(self, currency: str) -> float:
        """Return the amount charged in ``currency`` so far."""
        return float(getattr(self, currency)) if currency in CURRENCIES else self._extra.get(currency, 0.0)

    def snapshot(self) -> dict[str, Any]:
        """Return all amounts spent, for a checkpoint."""
        return {**{name: getattr(self, name) for name in CURRENCIES}, "extra": self.extra, "exhausted": self._exhausted}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Continue from a :meth:`snapshot`. The ledger must not have booked anything yet."""
        if self._queries or self._seconds or self._epochs or self._extra:
            raise ValueError("a ledger in use cannot be restored")
        self._queries, self._seconds = int(snapshot["queries"]), float(snapshot["seconds"])
        self._epochs, self._macs = float(snapshot["epochs"]), float(snapshot["macs"])
        self._extra = dict(snapshot["extra"])
        self._exhausted = bool(snapshot["exhausted"])

    @property
    def left(self) -> float:
        """Return the rest of the limited currency; infinite if there is no limit, never negative."""
        return math.inf if self._currency is None else max(0.0, self._limit - self.spent(self._currency))

    def charge(self, queries: int = 0, seconds: float = 0.0, epochs: float = 0.0, macs: float = 0.0, **extra: float) -> None:
        """Book one cost in all currencies at once.

        Raises:
            BudgetExhausted: the policy does not allow this charge (nothing is booked), or the budget was spent before.
            ValueError: a negative or non-finite cost.
        """
        if self._exhausted:
            raise BudgetExhausted
        if (
            not (0 <= queries < _INFINITE and 0.0 <= seconds < _INFINITE)
            or not (0.0 <= epochs < _INFINITE and 0.0 <= macs < _INFINITE)
            or (extra and not all(0.0 <= amount < _INFINITE for amount in extra.values()))
        ):
            amounts = {"queries": queries, "seconds": seconds, "epochs": epochs, "macs": macs, **extra}
            raise ValueError(f"impossible cost: {', '.join(f'{amount} {name}' for name, amount in amounts.items())}")
        currency = self._currency
        if currency is not None:
            if currency == "seconds":
                before, cost = self._seconds, seconds
            else:
                before = self.spent(currency)
                cost = {"queries": queries, "epochs": epochs, "macs": macs, **extra}.get(currency, 0.0)
            if before >= self._limit if self._policy == "allow_last" else before + cost > self._limit:
                self._exhausted = True
                self._wanted = before + cost
                raise BudgetExhausted
        self._queries += queries
        self._seconds += seconds
        self._epochs += epochs
        self._macs += macs
        for name, amount in extra.items():
            self._extra[name] = self._extra.get(name, 0.0) + amount


class Spending:
    """View of a ledger for a method, which can read the ledger and cannot charge it."""

    __slots__ = ("__ledger",)

    def __init__(self, ledger: Ledger) -> None:
        self.__ledger = ledger

    currency = property(lambda self: self.__ledger.currency, doc="The limited currency, or None.")
    limit = property(lambda self: self.__ledger.limit, doc="The amount of it that may be spent.")
    policy = property(lambda self: self.__ledger.policy, doc="The rule at the limit; ``fit``: schedules fit it.")
    left = property(lambda self: self.__ledger.left, doc="The rest of it; infinite if there is no limit.")
    queries = property(lambda self: self.__ledger.queries, doc="Queries made.")
    seconds = property(lambda self: self.__ledger.seconds, doc="Charged seconds, by the benchmark's clock.")
    epochs = property(lambda self: self.__ledger.epochs, doc="Passes over the training images.")
    macs = property(lambda self: self.__ledger.macs, doc="Multiply-adds.")
    extra = property(lambda self: self.__ledger.extra, doc="The amounts spent in currencies that a benchmark names.")
    exhausted = property(lambda self: self.__ledger.exhausted, doc="Whether the search is over.")

    def spent(self, currency: str) -> float:
        """Return the amount charged in ``currency`` so far."""
        return self.__ledger.spent(currency)
