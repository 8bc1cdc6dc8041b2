"""Numbers and judgements from the data of runs: paired tests, comparisons with the papers, claims.

Pure functions on plain, typed values (:mod:`harness.analysis.evidence`). This package imports nothing else of the project, and
knows no page: :mod:`reports` renders what it computes.
"""
