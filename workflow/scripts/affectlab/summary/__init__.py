"""The summary experiment: counselling cases, summarised and scored."""
