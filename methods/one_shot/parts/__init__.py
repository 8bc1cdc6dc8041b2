"""What one-shot methods are made of, each part once. A file here is no method: only the folder above is searched."""
