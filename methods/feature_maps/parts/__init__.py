"""Parts that several selectors of feature maps share."""
