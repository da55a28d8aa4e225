"""E4M3 kernels by value: arrays in, new arrays out."""

import numpy as np

F32, U8 = np.float32, np.uint8
LENGTHS = [*range(71), 384, 512]


def encode(kernel, values):
    codes = np.empty(len(values), U8)
    kernel("e4m3").encode(values, codes)
    return codes


def decode(kernel, codes, scale=1, bias=0):
    values = np.empty(len(codes), F32)
    kernel("e4m3").decode(codes, scale, bias, values)
    return values


def encode_rows(kernel, values):
    codes, scales = np.empty(values.shape, U8), np.empty(len(values), F32)
    assert kernel("e4m3").encode_rows(values, codes, scales) == -1
    return codes, scales


def decode_rows(kernel, codes, scales):
    values = np.empty(codes.shape, F32)
    kernel("e4m3").decode_rows(codes, scales, values)
    return values


def rows(n, dim, magnitude=1.0, seed=0):
    values = np.random.default_rng(seed).standard_normal((n, dim)).clip(-9, 9)
    return (values * magnitude).astype(F32)


def cosine_rows(kernel, query, codes):
    norms, out = np.empty((2, len(codes)), F32)
    kernel("e4m3").inverse_norms(codes, norms)
    kernel("e4m3").cosine_rows(query, codes, norms, out)
    return out
