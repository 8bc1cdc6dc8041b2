"""What a package needs to test its own search space, benchmark or method.

* ``python -m harness.run --check NAME`` checks a method or a benchmark without pytest; see :mod:`harness.testing.check`.
* :mod:`harness.testing.suites` has test classes for pytest. Inherit from them and every rule of a contract becomes a test::

    from harness.testing.suites.benchmarks import BenchmarkContract

    class TestMine(BenchmarkContract):
        @pytest.fixture
        def problem(self):
            return MyBenchmark().open({}, {})

* :mod:`harness.testing.toy` has small problems, so that a method can be tested without data.
"""
