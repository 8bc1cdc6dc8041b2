"""The workshop of the bundled digits tables: train their cells, check the records, pack the files.

Nothing outside this package imports it. ``python -m benchmarks.digits_tables --help`` lists the commands.
"""
