"""A benchmark for nas-harness."""
