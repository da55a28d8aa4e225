"""Flip, zero, put in, take out, cut off and remove: any file of a store, anywhere in it."""

import os
import shutil
from collections import Counter
from pathlib import Path

from fault_world import CODEBOOKS, NAMED, POOL, PROFILE, WRONG, Died, content, in_child, look
from fault_world import record_id as rid

from cgcython.store import RecordStore
from cgcython.store.keepers.rocksdb import acknowledged

NUMBERS = range(60)
PAGE = 4096
LENGTHS = (1, 1, 2, 7, 64, 4096)  # of what is put in and taken out
FILES = {
    "log": "*.log",
    "table": "*.sst",
    "catalogue": "MANIFEST-*",
    "CURRENT": "CURRENT",
    "OPTIONS": "OPTIONS-*",
    "IDENTITY": "IDENTITY",
    "rocksdict's file": "rocksdict-config.json",
    "ACKNOWLEDGED": acknowledged.NAME,
}


def put(store, numbers, version):
    """Store a version of some records, three to a batch."""
    numbers = list(numbers)
    for at in range(0, len(numbers), 3):
        some = numbers[at : at + 3]
        store.store_quantized((rid(n), POOL[content(n, version)]) for n in some)


def stores(folder):
    """Make the stores that are damaged, as a kill and as `close` leaves them, and their contents.

    Their tables lie on two levels, and the first one's writes lie in several logs.
    """
    folder, live = Path(folder), Path(folder) / "live"
    state = {n: content(n, 0) for n in NUMBERS}
    with RecordStore.open(live, CODEBOOKS, PROFILE) as store:
        put(store, NUMBERS, 0)
        store._keeper.files.flush()
        for family in store._keeper.files._families.values():
            family.compact_range(None, None)
        for version, numbers in enumerate((range(20), range(10, 30), range(40, 50)), 1):
            put(store, numbers, version)
            state |= {n: content(n, version) for n in numbers}
            store._keeper.files._families["records"].flush()  # alone: it begins another log
        for number in (3, 59):
            store.delete(rid(number))
            state[number] = None
        put(store, range(30, 40), 4)
        state |= {n: content(n, 4) for n in range(30, 40)}
        shutil.copytree(live, folder / "killed")
    shutil.copytree(live, folder / "closed")
    return state


def flip_bit(data, rng):
    """One bit is another."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def flip_byte(data, rng):
    """All bits of one byte are others."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :]


def zero_page(data, rng):
    """A page of 4 KiB became zeros."""
    at = rng.randrange(-(-len(data) // PAGE)) * PAGE
    page = data[at : at + PAGE]
    return data[:at] + bytes(len(page)) + data[at + PAGE :]


def put_in(data, rng):
    """Some bytes came in between others."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice(LENGTHS)) + data[at:]


def take_out(data, rng):
    """Some bytes are gone from between others."""
    length = rng.choice([one for one in LENGTHS if one < len(data)])
    at = rng.randrange(len(data) - length)
    return data[:at] + data[at + length :]


def copy_as_text(data, rng):
    """The file was copied as a text between systems: each line feed became two characters."""
    return data.replace(b"\n", b"\r\n")


def cut_off(data, rng):
    """The end of the file is gone: anywhere, or nearly nothing or all of it."""
    size = len(data)
    return data[
        : max(
            0, rng.choice([0, 1, size // 2, size - 1, size - 5] + 5 * [None]) or rng.randrange(size)
        )
    ]


def remove(data, rng):
    """The file is gone."""
    return None


DAMAGES = {
    "flipped bit": flip_bit,
    "flipped byte": flip_byte,
    "zeroed page": zero_page,
    "bytes put in": put_in,
    "bytes taken out": take_out,
    "copied as text": copy_as_text,
    "cut off": cut_off,
    "removed": remove,
}


def damage_once(source, path, pattern, damage, rng):
    """Copy a store and damage one file; return its name, or None where nothing changed."""
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(source, path)
    files = sorted(one for one in path.glob(pattern) if one.stat().st_size)
    if not files:
        return None
    chosen = rng.choice(files)
    sound = chosen.read_bytes()
    damaged = damage(sound, rng)
    if damaged == sound:
        return None
    if damaged is None:
        chosen.unlink()
    else:
        chosen.write_bytes(damaged)
    return f"{chosen.name} of {len(sound)} bytes"


def tally(seen, state):
    """Return how a damaged store compares with what it was: a Counter of records, and of stores."""
    if seen.refused:
        named = "store" in seen.refused or "record" in seen.refused
        return Counter({"refused" if named else "lost": 1})
    # A record that was deleted has nothing that `check` could miss.
    counts = Counter(lost=sum(state[number] is not None for number in seen.unverified))
    for number, expected in state.items():
        found = seen.state[number]
        if found == NAMED:
            counts["named"] += 1
        elif found != expected:
            counts["wrong" if found == WRONG or found is not None else "lost"] += 1
    counts["unhurt"] = not counts["named"]
    return counts


def damages(folder, source, file, damage, tries, rng, state, show=None):
    """Return the Counter of damaging one kind of file of a store again and again."""
    total, path = Counter(), Path(folder) / "damaged"
    for _ in range(tries):
        what = damage_once(Path(folder) / source, path, FILES[file], DAMAGES[damage], rng)
        if what is None:
            continue
        try:
            found = tally(in_child(look, path, NUMBERS), state)
        except Died as error:
            found = Counter(died=1)
            what = f"{what}: {error}"
        total += found + Counter(tries=1)
        if show and (found["lost"] or found["wrong"] or found["died"]):
            show(f"{source}, {damage}, {what}: {dict(found)}")
            keep = f"{source}-{damage}-{os.path.basename(what.split()[0])}".replace(" ", "-")
            shutil.copytree(path, Path(folder) / f"seen-{keep}", dirs_exist_ok=True)
    return total
