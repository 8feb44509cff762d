"""The roof: one report over all experiments."""
