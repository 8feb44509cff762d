"""The emotion wing: six-class emotion classification of short English texts."""
