"""The emotion experiment: six-class emotion classification of short English texts."""
