"""What the methods of the emotion experiment have in common."""

SEEDLESS = ("tfidf",)
"""Methods whose model no seed changes: their solver has no random part."""
