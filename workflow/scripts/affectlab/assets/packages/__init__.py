"""Pretrained weights that Python packages carry: one file for each form of them."""
