"""Readers of speech corpora, one module for each layout; the audio itself is not looked at."""
