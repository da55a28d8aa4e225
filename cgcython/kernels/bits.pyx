"""The bits family."""
