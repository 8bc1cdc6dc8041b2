"""Test classes for pytest that a package inherits: each rule of a contract is a test.

* :class:`harness.testing.suites.spaces.SpaceContract`: a search space.
* :class:`harness.testing.suites.benchmarks.BenchmarkContract`: a benchmark with recorded values.
* :class:`harness.testing.suites.benchmarks.UntabulatedContract`: a benchmark without recorded values.
* :class:`harness.testing.suites.training.TrainingContract`: the training side of a benchmark.
* :class:`harness.testing.suites.training.WeightSharingContract`: a training side with images and a supernet.
* :class:`harness.testing.suites.clocks.ClockContract`: recorded trainings and a supernet have one price.

Raises:
    ImportError: pytest or hypothesis is not installed.
"""

try:
    import hypothesis  # noqa: F401
    import pytest
except ImportError as error:
    raise ImportError(
        f"harness.testing.suites needs pytest and hypothesis, and {error.name} is missing: pip install -e '.[testing]'"
    ) from error

# `assert` in these modules explains its values, as in a test file
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in ("spaces", "benchmarks", "training", "clocks")))
