"""One module and one template per experiment: what the report says about it."""
