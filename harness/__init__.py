"""Runs the matrix methods x benchmarks x seeds under one budget; knows nothing of convolutions or cells."""
