"""Run the matrix methods x benchmarks x seeds under one budget. No file of this package knows convolutions or cells."""

from harness import packages as packages  # before anything imports methods, benchmarks or reports by name
