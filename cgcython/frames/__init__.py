"""How encoded embeddings are framed: layouts, sections one by one, and sections as columns."""

from cgcython.frames.layouts import Layout, declare, known_layouts, layout_title, overhead
from cgcython.frames.matrix import (
    SectionMatrix,
    are_whole,
    as_matrix,
    data_start,
    head_type,
    layout_number,
)
from cgcython.frames.sections import (
    MAGIC,
    NO_EMBEDDER,
    OVERHEAD,
    VERSION,
    read_embedding,
    read_section,
    section_length,
    write_embedding,
    write_section,
)

__all__ = [
    "MAGIC",
    "NO_EMBEDDER",
    "OVERHEAD",
    "VERSION",
    "Layout",
    "SectionMatrix",
    "are_whole",
    "as_matrix",
    "data_start",
    "declare",
    "head_type",
    "known_layouts",
    "layout_number",
    "layout_title",
    "overhead",
    "read_embedding",
    "read_section",
    "section_length",
    "write_embedding",
    "write_section",
]
