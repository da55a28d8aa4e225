"""The fault harness finds nothing wrong with a store, and does find what is wrong."""

import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "asv_bench"))
fault_damage = pytest.importorskip("fault_damage")
fault_disks = pytest.importorskip("fault_disks")
fault_kills = pytest.importorskip("fault_kills")
fault_world = pytest.importorskip("fault_world")


def test_kills_lose_nothing(tmp_path):
    found = fault_kills.kills(tmp_path, "overwrite", False, 2, random.Random(1))
    assert found[1:] == (0, 0, [])


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Return a function that damages one kind of file of a store three times."""
    folder = tmp_path_factory.mktemp("damaged")
    state, rng = fault_world.in_child(fault_damage.stores, folder), random.Random(2)
    return lambda *what: fault_damage.damages(folder, "killed", *what, 3, rng, state)


@pytest.mark.parametrize("damage", ["flipped byte", "bytes put in", "bytes taken out"])
@pytest.mark.parametrize("file", ["table", "log"])
def test_damage_is_named_or_refused(damaged, file, damage):
    found = damaged(file, damage)
    assert found["refused"] + found["named"] > 0
    assert not found["lost"] + found["wrong"] + found["died"]


def test_a_copy_as_text_is_refused(damaged):
    found = damaged("log", "copied as text")
    # A log whose writes lie in tables, which a killed store may still have, is not read again.
    assert found["refused"] + found["unhurt"] == found["tries"] == 3, found
    assert found["refused"] > 0, found
    assert not found["lost"] + found["wrong"] + found["died"], found


def test_damage_of_bytes_is_what_it_says():
    rng, data = random.Random(3), bytes(range(200))
    for _ in range(50):
        assert len(fault_damage.put_in(data, rng)) > len(data)
        assert len(fault_damage.take_out(data, rng)) < len(data)


def test_a_reader_that_loops_in_a_library_is_ended(monkeypatch):
    monkeypatch.setattr(fault_world, "PATIENCE", 0.3)
    with pytest.raises(fault_world.Died, match="no answer"):
        fault_world.in_child(time.sleep, 600)


def test_a_reader_that_dies_is_told():
    with pytest.raises(fault_world.Died, match="SIGSEGV"):
        fault_world.in_child(signal.raise_signal, signal.SIGSEGV)


@pytest.mark.parametrize("killed", [True, False])
def test_a_full_disk_loses_nothing(tmp_path, killed):
    found = mounted(fault_disks.full_disk, tmp_path, killed, random.Random(3))
    assert +found == Counter(tries=1, named=1)


def test_a_folder_that_cannot_be_written_is_read(tmp_path):
    found = mounted(fault_disks.read_only_folder, tmp_path, random.Random(4))
    assert +found == Counter(tries=1, named=1)


def mounted(fault, *arguments):
    try:
        return fault(*arguments)
    except fault_disks.NotMounted as error:
        pytest.skip(f"nothing can be mounted here: {error}")


def test_what_is_mounted_is_gone_after_a_failure(tmp_path):
    def fail(folder):
        with fault_disks.small_disk(folder) as disk:
            (disk / "file").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        mounted(fail, tmp_path)
    assert not (tmp_path / "disk/file").exists()


def test_a_loss_and_a_wrong_value_are_counted():
    seen = fault_world.Look(None, {0: None, 1: 5, 2: fault_world.WRONG}, [0])
    found = fault_damage.tally(seen, {0: 4, 1: 4, 2: 4})
    assert found - Counter(unhurt=1) == Counter(lost=2, wrong=2)
