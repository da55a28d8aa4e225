"""Files of this package with bytes changed, put in and taken out, as hypothesis draws them."""

from hypothesis import strategies as st


def mutated(data, content):
    """Return some bytes with one to three small changes, drawn from hypothesis' `data`."""
    found = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        # Most of what a reader interprets stands in the first bytes and in the header.
        at = data.draw(st.integers(0, min(64, len(found) - 1)) | st.integers(0, len(found) - 1))
        found[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    return bytes(found)
