"""The tokens family."""
