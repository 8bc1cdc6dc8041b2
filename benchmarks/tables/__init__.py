"""What every tabular benchmark does with its sources: find them, import them once, keep the tables."""
