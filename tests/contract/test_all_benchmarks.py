"""Every benchmark is tested by the contracts of its kind, so that none is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness import registry
from harness.testing.suites.benchmarks import BenchmarkContract, UntabulatedContract
from harness.testing.suites.training import TrainingContract
from tests.contract import test_benchmarks, test_darts, test_darts_rnn, test_feature_maps, test_nb1shot1, test_pruning

MODULES = (test_benchmarks, test_darts, test_darts_rnn, test_feature_maps, test_nb1shot1, test_pruning)


def families(ids: set[str]) -> set[tuple[str, bool]]:
    """Return the first part of each id, and whether the benchmark ships with the project."""
    return {(id.partition("/")[0], registry.benchmark(id).embedded) for id in ids}


def ids_of(contract: type) -> set[str]:
    """Return the ids of the benchmarks that a test class of a contract names."""
    return {id for test in _tests() if issubclass(test, contract) for id in test.benchmarks}


def _tests() -> Iterator[Any]:
    for module in MODULES:
        yield from (value for name, value in vars(module).items() if name.startswith("Test") and hasattr(value, "benchmarks"))


def of_kinds(*kinds: str) -> set[str]:
    return {id for id, benchmark in registry.benchmarks().items() if {*kinds} & {*benchmark.kinds}}


def test_a_benchmark_with_an_oracle_keeps_the_contract_of_recorded_values() -> None:
    assert families(of_kinds("multi-trial")) <= families(ids_of(BenchmarkContract))


def test_a_benchmark_without_an_oracle_keeps_the_contract_of_such() -> None:
    untabulated = set(registry.benchmarks()) - of_kinds("multi-trial")
    assert families(untabulated) <= families(ids_of(UntabulatedContract))


def test_a_benchmark_with_a_training_side_keeps_its_contract() -> None:
    shipped = {id for id in of_kinds("one-shot", "feature-maps", "pruning") if registry.benchmark(id).embedded}
    assert shipped == {id for id in ids_of(TrainingContract) if registry.benchmark(id).embedded}
