"""The DARTS space: cells of fourteen edges, their networks, and their training from scratch."""
