"""Benchmarks: a search space, an oracle or trainer, and data; and the protocols they are run under."""
