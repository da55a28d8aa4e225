"""One method each: its checks and its bytes. Codecs know no embedder and no file."""
