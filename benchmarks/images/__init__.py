"""Image data sets: readers and splits."""
