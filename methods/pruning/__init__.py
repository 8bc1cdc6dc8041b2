"""Methods that prune a network during its training."""
