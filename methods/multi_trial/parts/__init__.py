"""What multi-trial methods share."""
