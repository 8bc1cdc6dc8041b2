"""Parts of the methods that prune a network."""
