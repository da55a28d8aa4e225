"""The sparse family."""
