"""NAS-Bench-1Shot1: three search spaces inside NAS-Bench-101, looked up in its tables."""
