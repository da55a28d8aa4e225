"""Batch work as a library: reads corpora of embeddings, encodes them into shards or a store."""
