"""Runs the matrix methods x benchmarks x seeds under one budget; knows nothing of convolutions or cells."""

from harness import packages as packages  # before anything imports methods, benchmarks or reports by name
