"""Frozen audio encoders: one file for each kind, behind one interface."""
