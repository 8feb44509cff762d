"""The emotion experiment: one class for each text."""
