"""Scores, intervals and comparisons, and the records, figures and cards that show them."""
