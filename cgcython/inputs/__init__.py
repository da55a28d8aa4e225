"""Embeddings as callers have them, column by column: taken, checked and encoded."""
