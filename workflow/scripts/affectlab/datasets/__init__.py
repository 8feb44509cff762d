"""What data sets of several experiments have in common: names, texts, media files."""
