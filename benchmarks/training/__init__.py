"""Stand-alone training of architectures."""
