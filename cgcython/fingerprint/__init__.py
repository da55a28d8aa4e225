"""One memory as its embedders see it, and the record of bytes that keeps it."""

from cgcython.fingerprint.batches import encode_all as encode_all
from cgcython.fingerprint.batches import encode_parts as encode_parts
from cgcython.fingerprint.embeddings import Fingerprint as Fingerprint
from cgcython.fingerprint.record import DEFAULT_BUDGET_BYTES as DEFAULT_BUDGET_BYTES
from cgcython.fingerprint.record import Form as Form
from cgcython.fingerprint.record import QuantizedFingerprint as QuantizedFingerprint
from cgcython.fingerprint.record import read_section as read_section
