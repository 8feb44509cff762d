"""Data sets and models from elsewhere: where each stands, and how it is obtained."""
