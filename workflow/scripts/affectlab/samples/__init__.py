"""Seeded generators of small corpora and models in the original layouts."""
