"""Reports: tables and figures from the evidence that the harness collects; see :func:`reports.report.write`.

This package starts no run, reads no store and opens no benchmark.
"""
