"""The layouts of raw data that the entity experiment reads."""

TEXT_LAYOUT = "goemotions"
LAYOUTS = frozenset({"entity_spans", TEXT_LAYOUT, "goemotions_spans"})
