"""The tone experiment: whether a short text is friendly or hostile, by its words."""
