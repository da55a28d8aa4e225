"""The codes of each embedder of a store: read, kept in files, in step with writes."""
