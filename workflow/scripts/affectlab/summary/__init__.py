"""The summary wing: counselling cases, summarised and scored."""
