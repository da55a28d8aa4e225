"""Files of columns and graphs beside a store: damaged ones are made anew, forged ones harmless.

Whoever computes the checksums anew may write other codes, and gets other hits.
"""

import json
import tempfile
from functools import cache
from pathlib import Path
from uuid import UUID

from fuzz.mutations import Tensors, change_tensors
from fuzz.world import MEMORY, memories

from cgcython import FingerprintStore

RECORDS = 6
GRAPHS = ("E1", "E2", "E9")
NAMES = (*(f"{one}-graph" for one in GRAPHS), "E1", "E2", "E6", "E9", "E12")  # by the first byte
_QUERY = memories().make(3, tokens=2)


@cache
def _store():
    """Return the folder of a store without columns, its own columns and graphs, and its hits."""
    folder = tempfile.TemporaryDirectory(dir=MEMORY)
    made, path = memories(), Path(folder.name)
    with FingerprintStore.open(path, made.codebooks, made.profile) as store:
        store.store_many((UUID(int=n + 1), made.make(n, tokens=2)) for n in range(RECORDS))
        store.save_columns(made.profile, graphs=True)
    files = {one.stem: one.read_bytes() for one in sorted(path.glob("columns/*"))}
    for one in path.glob("columns/*"):
        one.unlink()
    return folder, path, files, {name: _hits(path, name) for name in NAMES}


def _hits(path, name):
    """Return the hits of an embedder, those of its graph where the name is one."""
    embedder, _, graph = name.partition("-")
    with FingerprintStore.open(path, create=False, read_only=True) as store:
        query = {embedder: _QUERY[embedder]}
        hits = store.search(query, k=RECORDS, approximate="graph" if graph else False)
        return [(hit.id, hit.similarity) for hit in hits]


def seeds():
    return [bytes([number]) + _store()[2][name] for number, name in enumerate(NAMES)]


def mutate(data, rng):
    return data[:1] + change_tensors(data[1:], rng)


def fuzz_one(data):
    if not data:
        return
    _, path, files, expected = _store()
    name = NAMES[data[0] % len(NAMES)]
    data, is_sealed = _of_this_store(data[1:], files[name])
    column = path / "columns" / f"{name}.safetensors"
    column.write_bytes(data)
    try:
        hits = _hits(path, name)
        assert is_sealed or hits == expected[name]
    finally:
        column.unlink()


def _of_this_store(data, own):
    """Return the file, and whether its checksums hold: then with this store's position in it."""
    try:
        file = Tensors(data)
        before = file.texts.copy()
        about = json.loads(file.texts["about"])
        file.seal()
        if before["crc32"] != file.texts["crc32"] or before["about"] != file.texts["about"]:
            return data, False
        position = json.loads(Tensors(own).texts["about"])["position"]
        if type(about["position"]) is int and about["position"] != position:
            file.texts["about"] = json.dumps({**about, "position": position})
            file.seal()
            data = file.to_bytes()
    except (ValueError, LookupError, TypeError, AttributeError):
        return data, False
    return data, True
