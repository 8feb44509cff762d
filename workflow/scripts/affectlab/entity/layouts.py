"""The layouts of raw data that the entity experiment reads."""

TEXT_LAYOUT = "goemotions"
OWN_LAYOUT = "spans"
"""Tables of a user's own."""

LAYOUTS = frozenset({"entity_spans", TEXT_LAYOUT, "goemotions_spans", OWN_LAYOUT})
