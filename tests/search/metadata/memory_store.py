"""What an index of metadata knows of a store, in memory."""

import json
from contextlib import contextmanager
from pathlib import Path


class MemoryStore:
    """Metadata by key, and a journal of what changed."""

    def __init__(self):
        self.texts, self.history, self.path = {}, [], Path("memory")
        self.reads_of_all = 0

    def put(self, key, metadata):
        """Set the metadata of a record."""
        self.texts[key] = json.dumps(metadata).encode() if metadata else b""
        self.history.append(key)

    def delete(self, key):
        """Remove a record."""
        self.texts.pop(key, None)
        self.history.append(key)

    @property
    def journal(self):
        """The journal is the store itself."""
        return self

    def position(self):
        """Return how many writes there were."""
        return len(self.history)

    def changes_since(self, position):
        """Return the keys of later writes."""
        return sorted(set(self.history[position:]))

    @contextmanager
    def view(self):
        """Yield the store."""
        yield self

    def _metadata_texts(self, keys=None):
        """Yield keys and texts."""
        self.reads_of_all += keys is None
        for key in sorted(self.texts) if keys is None else keys:
            yield key, self.texts.get(key)
