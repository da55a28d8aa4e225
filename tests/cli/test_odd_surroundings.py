"""Every command in odd surroundings: a documented exit code, one line that says why, no traceback.

Tables of what is odd meet tables of commands; the commands run in this process.
"""

import io
import os
import resource
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cgcython.cli import main
from cgcython.corpus.memory_ids import row_uuid

USAGE, BAD_DATA, CODEBOOK, STORE = 2, 3, 4, 5
NOT_UTF8 = os.fsdecode(b"caf\xe9")
# {corpus}, {store} and the like are places of the world below; {new} is a place where nothing is.
COMMANDS = {
    "train": "train E1 --input E1={E1} --models {new} --bytes 8",
    "encode_store": "encode E8={E8} --store {new}",
    "encode_out": "encode E8={E8} --out {new}",
    "encode_pq": "encode E1={E1} --models {models} --store {new}",
    "migrate": "migrate {legacy} --store {new}",
    "decode": "decode {store} --out {new}.npz",
    "decode_shards": "decode {shards} --out {new}.safetensors",
    "inspect": "inspect {store}",
    "index": "index {store}",
    "search": "search E8={E8} --store {store}",
    "search_shards": "search E8={E8} --store {shards} --json",
    "among": "search E8={E8} --store {store} --among {ids}",
    "eval": "eval E8={E8} --queries E8={E8} --qrels {qrels}",
    "eval_store": "eval E8={E8} --queries E8={E8} --store {store}",
    "drift": "drift E1={E1} --models {models}",
    "stats": "store stats {store}",
    "compact": "store compact {store}",
    "purge": "store purge {store}",
    "backup": "store backup {store} {new}",
    "copy": "store copy {store} {new}",
    "reencode": "store reencode {store} E1 --models {models}",
    "verify": "verify {store}",
    "verify_shards": "verify {shards}",
    "repair": "verify {store} --repair --out {new}",
    "info": "info",
}
WITH_PROFILE = ("train", "encode", "migrate", "eval_methods", "drift")


@pytest.fixture(scope="module")
def places(work, tmp_path_factory):
    """Return the places that COMMANDS name; the store and the rest are copies for this module."""
    world = tmp_path_factory.mktemp("world")
    for name in ("store", "shards", "models"):
        shutil.copytree(work / name, world / name)
    with np.load(work / "corpus.npz") as corpus:
        for name in ("E1", "E8"):
            np.save(world / f"{name}.npy", corpus[name])
    with np.load(work / "train.npz") as train:
        np.save(world / "train.npy", train["E1"])
    (world / "legacy").mkdir()
    shutil.copy(world / "E8.npy", world / "legacy")
    (world / "ids").write_text("\n".join(map(str, range(5))))
    shutil.copy(work / "profile.toml", world)
    arrays = {name: world / f"{name}.npy" for name in ("E1", "E8", "train")}
    others = {name: world / name for name in ("store", "shards", "models", "legacy", "ids")}
    profile = {"profile": world / "profile.toml"}
    return arrays | others | profile | {"qrels": work / "qrels.npy", "new": world / "new"}


@pytest.fixture
def run(cli, places, tmp_path):
    """Return a function that runs a command of the table with other places than usual."""

    def run(name, **others):
        words = COMMANDS[name].split()
        if name.startswith(WITH_PROFILE) or name == "eval":
            words += ["--profile", "{profile}"]
        given = places | {"new": tmp_path / "new"} | others
        return cli(*(word.format(**given) for word in words))

    return run


def refused(result, code):
    """Require an exit code and one line that says why."""
    assert result.code == code, result.err
    assert "Traceback" not in result.err
    lines = [line for line in result.err.splitlines() if ": error: " in line]
    assert len(lines) == 1, result.err
    return lines[0]


# What stands in the place of an array, made of the bytes of a good one.
def _archive(good, flags=0):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("E8.npy", good)
    content = bytearray(whole.getvalue())
    content[6] |= flags
    content[content.find(b"PK\1\2") + 8] |= flags
    return bytes(content)


def _saved(array):
    whole = io.BytesIO()
    np.save(whole, array, allow_pickle=True)
    return whole.getvalue()


def _spoilt(good, value):
    rows = np.load(io.BytesIO(good))
    rows[3, 2] = value
    return _saved(rows)


CONTENTS = {
    "empty.npy": lambda good: b"",
    "empty.npz": lambda good: b"",
    "empty.safetensors": lambda good: b"",
    "text.npy": lambda good: b"no numbers\n" * 20,
    "text.safetensors": lambda good: b"no numbers\n" * 20,
    "cut.npy": lambda good: good[:-9],
    "archive.npy": _archive,
    "archive.safetensors": _archive,
    "array.npz": lambda good: good,
    "cut.npz": lambda good: _archive(good)[:-30],
    "encrypted.npz": lambda good: _archive(good, flags=1),
    "no_dimension.npy": lambda good: _saved(np.float32(1)),
    "objects.npy": lambda good: _saved(np.array([[None] * 24] * 40)),
    "text_array.npy": lambda good: _saved(np.array([["a"] * 24] * 40)),
    "three_dimensions.npy": lambda good: _saved(np.zeros((40, 4, 6), np.float32)),
    "no_columns.npy": lambda good: _saved(np.zeros((40, 0), np.float32)),
}
READERS = {
    "train": "E1", "encode_store": "E8", "encode_out": "E8", "search": "E8", "among": "ids",
    "search_shards": "E8", "eval": "E8", "eval_store": "E8", "drift": "E1",
}  # fmt: skip


@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_that_is_no_array_is_refused_by_every_reader(run, places, tmp_path, content):
    for command, slot in READERS.items():
        path = tmp_path / content
        path.write_bytes(CONTENTS[content](places["E8"].read_bytes()))
        if slot == "ids" and path.suffix != ".npy":
            continue
        assert content in refused(run(command, **{slot: path}), BAD_DATA)
        assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("command", "slot"), [one for one in READERS.items() if one[0] not in ("among", "train")]
)
def test_the_memory_of_a_value_that_is_not_finite_is_named(
    run, places, tmp_path, command, slot, value
):
    (tmp_path / "bad.npy").write_bytes(_spoilt(places[slot].read_bytes(), value))
    line = refused(run(command, **{slot: tmp_path / "bad.npy"}), BAD_DATA)
    assert f"{'query' if command.startswith('search') else 'memory'} 3" in line
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("oddity", ["folder", "pipe", "device", "link", "loop", "missing"])
def test_what_is_no_file_is_not_opened(run, tmp_path, oddity):
    path = tmp_path / "odd.npy"
    make = {
        "folder": Path.mkdir,
        "pipe": os.mkfifo,
        "device": lambda path: path.symlink_to("/dev/zero"),
        "link": lambda path: path.symlink_to("nowhere"),
        "loop": lambda path: path.symlink_to(path.name),
        "missing": lambda path: None,
    }
    make[oddity](path)
    for command, slot in READERS.items():
        refused(run(command, **{slot: path}), BAD_DATA)


def test_a_list_of_ids_is_no_folder_and_no_device(run, tmp_path):
    for path in (tmp_path, "/dev/zero", tmp_path / "none"):
        refused(run("among", ids=path), BAD_DATA)


def test_paths_may_hold_what_specs_use(run, places, tmp_path):
    folder = tmp_path / "a@b:c=d,e"
    folder.mkdir()
    for name in ("E1", "E8"):
        shutil.copy(places[name], folder / f"{name}.npy")
    given = {"E1": folder / "E1.npy", "E8": folder / "E8.npy"}
    for command in ("encode_store", "encode_out", "search", "eval", "drift"):
        assert run(command, **given, new=folder / command).code == 0
    assert run("verify", store=folder / "encode_store").code == 0


def test_no_rows_are_no_memories(run, tmp_path):
    np.save(tmp_path / "none.npy", np.zeros((0, 24), np.float32))
    for command in ("encode_store", "encode_out", "search", "search_shards"):
        assert run(command, E8=tmp_path / "none.npy", new=tmp_path / command).code == 0
    refused(run("eval", E8=tmp_path / "none.npy"), USAGE)


IDS = np.frombuffer(b"".join(map(row_uuid, range(41))), np.uint8).reshape(41, 16)
BAD_IDS = {
    "twice": np.vstack([IDS[:39], IDS[:1]]),
    "short": IDS[:40, :15],
    "few": IDS[:39],
    "many": IDS,
    "numbers": IDS[:40].astype(np.float32),
    "words": np.array(["no id"] * 40),
    "bytes": np.array([b"\xff\xfe"] * 40),
    "objects": np.array([None] * 40),
    "one": np.uint8(3),
}


@pytest.mark.parametrize("ids", BAD_IDS)
@pytest.mark.parametrize("target", ["--store", "--out"])
def test_ids_that_are_none_are_refused(cli, places, tmp_path, ids, target):
    np.save(tmp_path / "ids.npy", BAD_IDS[ids], allow_pickle=True)
    words = f"E8={places['E8']}", f"ids={tmp_path}/ids.npy", "--profile", places["profile"]
    refused(cli("encode", *words, target, tmp_path / "new"), BAD_DATA)
    assert not (tmp_path / "new").exists()


# Stores and shards, codebooks, places to write.
OF_A_STORE = [name for name, words in COMMANDS.items() if "{store}" in words]


@pytest.mark.parametrize("command", OF_A_STORE)
def test_what_is_no_store_is_not_made_one(run, tmp_path, command):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    is_reader = command in ("inspect", "verify", "decode")
    for name in ("file", "loop", "none"):
        result = run(command, store=tmp_path / name)
        refused(result, BAD_DATA if command == "inspect" else STORE)
    (tmp_path / "folder").mkdir()
    refused(run(command, store=tmp_path / "folder"), USAGE if is_reader else STORE)
    assert not list((tmp_path / "folder").iterdir())


@pytest.mark.parametrize("command", [*OF_A_STORE, "encode_store", "migrate"])
def test_a_store_whose_name_is_not_utf8_asks_for_another_name(run, places, tmp_path, command):
    shutil.copytree(places["store"], tmp_path / NOT_UTF8)
    given = {"store": tmp_path / NOT_UTF8, "new": tmp_path / NOT_UTF8 / "new"}
    assert "not UTF-8" in refused(run(command, **given), STORE)


def test_files_whose_name_is_not_utf8_are_read_and_written(run, places, tmp_path):
    folder = tmp_path / NOT_UTF8
    folder.mkdir()
    given = {"E8": folder / "E8.npy", "new": folder / "out", "models": folder / "models"}
    shutil.copy(places["E8"], given["E8"])
    shutil.copytree(places["models"], given["models"])
    for command in ("encode_out", "search", "eval", "drift", "decode"):
        assert run(command, **given).code == 0
    assert run("verify_shards", shards=folder / "out").code == 0


@pytest.mark.parametrize("command", ["encode_pq", "drift", "reencode"])
def test_a_codebook_that_is_none_is_a_codebook_error(run, places, tmp_path, command):
    book = next((places["models"] / "pq8_codebooks").iterdir()).name
    path = tmp_path / "models" / "pq8_codebooks" / book
    for make in (lambda: None, path.mkdir, lambda: path.rmdir() or path.touch()):
        path.parent.mkdir(parents=True, exist_ok=True)
        make()
        refused(run(command, models=tmp_path / "models"), CODEBOOK)


WRITERS = {
    "train": BAD_DATA, "encode_out": BAD_DATA, "decode": BAD_DATA, "decode_shards": BAD_DATA,
    "encode_store": STORE, "migrate": STORE, "backup": STORE, "repair": STORE,
}  # fmt: skip


@pytest.fixture
def unwritable(tmp_path):
    """Yield a folder into which nobody writes, the owner of the machine neither."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    if os.geteuid():
        yield folder
        return
    tmp_path.chmod(0o755)
    yield Path("/proc")  # root may write anywhere else


@pytest.mark.parametrize("command", WRITERS)
def test_a_place_that_cannot_be_written_is_named(run, places, tmp_path, unwritable, command):
    if command == "repair":
        pytest.skip("a sound store is not written anew")
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "new", unwritable / "new"):
        line = refused(run(command, new=place), WRITERS[command])
        assert str(place.name) in line
    assert (tmp_path / "file").stat().st_size == 0


def test_a_folder_is_no_file_to_write(run, tmp_path):
    (tmp_path / "new.npz").mkdir()
    (tmp_path / "new.safetensors").mkdir()
    for command in ("decode", "decode_shards"):
        assert "no regular file" in refused(run(command), BAD_DATA)


@pytest.mark.parametrize("limit", [0, 1000])
@pytest.mark.parametrize("command", [one for one in WRITERS if one not in ("repair", "migrate")])
def test_a_full_disk_leaves_nothing_and_the_next_run_goes_on(run, places, tmp_path, command, limit):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    given = {"E1": places["train"]} if command == "train" else {}
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        result = run(command, **given)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    refused(result, result.code)
    assert result.code in (BAD_DATA, STORE)
    assert list(tmp_path.iterdir()) == []
    assert run(command, **given).code == 0


# Options.
BAD_NUMBERS = ("0", "-1", "x", "", "1.5", "nan", "9" * 5000)
NUMBERS = {
    "--threads": ("train", "encode_store", "migrate", "decode", "index", "search", "eval", "drift"),
    "-k": ("search",),
    "--budget": ("encode_store", "encode_out", "migrate"),
    "--shard-size": ("encode_out",),
    "--sample": ("train",),
    "--oversample": ("search",),
    "--candidates": ("search",),
    "--explain-hits": ("search",),
    "--loss-every": ("migrate",),
}
BAD_VALUES = {
    "--tolerance": ("drift", ["-1", "nan", "inf", "x"]),
    "--step": ("eval", ["-1", "99", "x"]),
    "--seed": ("train", ["-1", "x", "1.5"]),
    "--bytes": ("train", ["0", "7", "x"]),
    "--older-than": ("purge", ["1", "-1d", "x", "9999999d"]),
    "--weights": ("search", ["E1", "E1=0", "E1=nan", "E1=1e999", "E99=1"]),
    "--embedders": ("search", ["", "E99", "E7"]),
    "--metric": ("search", ["", "angle"]),
}
CASES = [
    (command, option, value)
    for option, commands in NUMBERS.items()
    for command in commands
    for value in BAD_NUMBERS
] + [(command, option, value) for option, (command, some) in BAD_VALUES.items() for value in some]


def test_values_out_of_range_are_usage_errors(cli, places, tmp_path):
    given = places | {"new": tmp_path / "new", "E1": places["train"]}
    for command, option, value in CASES:
        words = [*COMMANDS[command].format(**given).split(), f"{option}={value}"]
        if option == "-k":
            words[-1] = f"-k{value}" if value else "-k="
        if command.startswith(WITH_PROFILE) or command == "eval":
            words += ["--profile", places["profile"]]
        result = cli(*words)
        assert result.code == (BAD_DATA if option == "--seed" and value == "-1" else USAGE), words
        assert "Traceback" not in result.err
    assert not (tmp_path / "new").exists()


def test_large_numbers_are_all_there_is(run, cli, places, tmp_path):
    for command, options in {
        "encode_out": ["--threads", "--shard-size", "--budget"],
        "search": ["--threads", "-k", "--oversample"],
        "decode": ["--threads"],
    }.items():
        words = COMMANDS[command].format(**places | {"new": tmp_path / command}).split()
        words += ["--profile", places["profile"]] * command.startswith("encode")
        assert cli(*words, *(word for one in options for word in (one, 10**20))).code == 0


PROFILES = {
    "broken": b"E8 = {", "empty": b"", "binary": bytes(range(256)), "latin": b"# \xe9",
    "deep": b"E8=" + b"[" * 100_000, "negative": b'E8 = { dimension = -1, method = "binary" }',
    "huge": b'E8 = { dimension = 99999999999999999999, method = "binary" }',
    "digits": b"E8 = { dimension = " + b"9" * 5000 + b" }", "unknown": b'E99 = { dimension = 8 }',
    "no_method": b'E8 = { dimension = 24, method = "none" }', "date": b"E8 = 1979-05-27",
}  # fmt: skip


@pytest.mark.parametrize("profile", [*PROFILES, "folder", "missing"])
def test_a_profile_that_is_none_is_a_usage_error(run, tmp_path, profile):
    path = tmp_path / f"{profile}.toml"
    if profile == "folder":
        path.mkdir()
    elif profile != "missing":
        path.write_bytes(PROFILES[profile])
    for command in ("train", "encode_store", "encode_out", "migrate", "eval", "drift"):
        refused(run(command, profile=path), USAGE)
    assert not (tmp_path / "new").exists()


# Streams and folders of the process.
class Unwilling(io.StringIO):
    """A stream that does not take what is printed."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def flush(self):
        raise self.error


@pytest.mark.parametrize(
    ("error", "code"), [(OSError(28, "No space left"), BAD_DATA), (BrokenPipeError(32, "gone"), 0)]
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_stdout_that_takes_nothing_is_told(run, monkeypatch, places, command, error, code):
    given = {"E1": places["train"]} if command == "train" else {}
    monkeypatch.setattr(sys, "stdout", Unwilling(error))
    result = run(command, **given)
    if code:
        assert "stdout: No space left" in refused(result, code)
    else:
        assert (result.code, "error" in result.err) == (0, False)


@pytest.mark.parametrize("words", ["--help", "--version", "search --help"])
def test_help_that_a_full_stdout_does_not_take_is_told(cli, monkeypatch, words):
    monkeypatch.setattr(sys, "stdout", Full())
    refused(cli(*words.split()), BAD_DATA)


class Full(io.StringIO):
    """A stderr without room."""

    def write(self, text):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_stderr_that_takes_nothing_changes_no_exit_code(run, monkeypatch, places, command):
    given = {"E1": places["train"]} if command == "train" else {}
    monkeypatch.setattr(sys, "stderr", Full())
    assert run(command, **given).code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_a_working_folder_that_is_gone_is_not_needed(
    run, monkeypatch, places, tmp_path_factory, command
):
    folder = tmp_path_factory.mktemp("gone")
    monkeypatch.chdir(folder)
    folder.rmdir()
    given = {"E1": places["train"]} if command == "train" else {}
    assert run(command, **given).code == 0


def test_what_a_stream_cannot_spell_is_escaped(places, monkeypatch, tmp_path):
    import json

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    out = tmp_path / f"{NOT_UTF8}\u00e9.npz"
    assert main(["decode", str(places["store"]), "--out", str(out), "--json"]) == 0
    monkeypatch.undo()
    assert json.loads(stream.buffer.getvalue())["path"] == str(out)
    assert stream.errors == "strict"
