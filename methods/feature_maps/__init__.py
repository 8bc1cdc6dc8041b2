"""Methods that select a feature map for a linear model, by solver calls."""
