"""What several selectors of feature maps are made of."""
