"""Reports: tables and figures from the evidence that the harness collects; see :func:`reports.report.write`.

Nothing here starts a run, reads a store or opens a benchmark.
"""
