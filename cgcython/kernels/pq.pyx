"""Product quantization."""
from cgcython.kernels.reference.pq import (
    adc_cosine, adc_scan, adc_topk, decode_rows, decode_vector, distance_table, dot_table,
    encode_rows, encode_vector,
)
