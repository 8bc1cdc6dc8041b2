"""NAS-Bench-201 and NATS-Bench topology: 15 625 cells, looked up in tables."""
