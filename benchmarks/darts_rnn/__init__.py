"""Recurrent cells of DARTS: the search for the cell of a language model on Penn Treebank (arXiv:1806.09055)."""
