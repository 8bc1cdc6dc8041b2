"""Run the matrix methods x benchmarks x seeds under the rules of a protocol. No file here names a method or a space."""

from harness import packages as packages  # before anything imports methods, benchmarks or reports by name
