"""The entity wing: a probabilistic emotion embedding of sentences and of spans in them."""
