"""Pruning of a small fully connected network on the digits (SparseNAS, Figure 3): an architecture is the set of its weights."""
