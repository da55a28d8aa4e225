"""The method toy4: a code of four bits per value, and one scale per embedding."""

from cgtoy.codec import Toy4Codec, Toy4Metadata
from cgtoy.scan import Toy4Scan

__all__ = ["Toy4Codec", "Toy4Metadata", "Toy4Scan"]
