"""Profiles as TOML."""

from pathlib import Path

from cgcython import Profile, QuantizationError, base


def seeds():
    shipped = sorted(Path(base.__file__).parent.glob("profiles/*.toml"))
    return [*(one.read_bytes() for one in shipped), b'E9 = { dimension = 64, method = "binary" }']


def mutate(data, rng):
    word = rng.choice((b"[" * 2000, b"{a = " * 900, b"a." * 3000, b"9" * 5000, b"'''", b"1e999"))
    at = rng.randrange(len(data) + 1)
    return data[:at] + word + data[at:]


def fuzz_one(data):
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    try:
        found = Profile.from_toml(text)
    except QuantizationError:
        return
    assert Profile.from_toml(found.to_toml()) == found
