"""What one-shot methods are made of: each part once, no supernet and no data in it."""
