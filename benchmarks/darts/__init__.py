"""The DARTS space: cells of fourteen edges, their networks, and how they are trained from scratch."""
