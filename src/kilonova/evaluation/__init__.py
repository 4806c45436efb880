"""How well a model's vectors find what they should."""
