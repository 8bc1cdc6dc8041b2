"""Feature map selection (Khodak et al. 2020): configurations are feature maps of a linear model, solved exactly."""
