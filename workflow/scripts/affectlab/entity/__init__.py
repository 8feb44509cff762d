"""The entity experiment: a probabilistic emotion embedding of sentences and of spans in them."""
