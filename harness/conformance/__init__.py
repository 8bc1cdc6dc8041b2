"""The contracts of methods and benchmarks as checks that anyone can run: ``python -m harness.run --check NAME``."""
