"""`delete` moves memories to the trash when that is meant, and brings them back."""

from uuid import UUID

import numpy as np
import pytest

from cgcython import FingerprintStore

IDS = [str(UUID(int=number)) for number in range(1, 4)]


@pytest.fixture
def store(tmp_path):
    """Return the folder of a store of three memories."""
    with FingerprintStore.open(tmp_path / "store") as made:
        made.store_many((one, {"E8": np.ones(384)}) for one in IDS)
    return tmp_path / "store"


def test_what_was_deleted_comes_back(cli, store):
    assert cli("delete", store, *IDS[:2], "--json").json["deleted"] == 2
    assert cli("get", store, IDS[0]).code == 3
    assert cli("delete", store, "--restore", *IDS[:2]).out == "2 memories restored\n"
    assert cli("get", store, IDS[0]).code == 0


def test_a_dry_run_deletes_nothing(cli, store):
    assert cli("delete", store, *IDS, "--dry-run").out == "3 memories would be deleted\n"
    assert cli("get", store, IDS[2]).code == 0


def test_ids_come_from_a_file(cli, store, tmp_path):
    (tmp_path / "ids.txt").write_text("\n".join(IDS[:2]) + "\n\n")
    assert cli("delete", store, "--from", tmp_path / "ids.txt").out == "2 memories deleted\n"


def test_an_id_that_is_not_there_is_named_and_exits_with_three(cli, store):
    unknown = str(UUID(int=9))
    result = cli("delete", store, IDS[0], unknown)
    assert (result.code, result.out) == (3, "1 memories deleted\n")
    assert result.err == f"cgcython: {unknown} is not there\n"


def test_for_good_needs_a_yes(cli, store):
    assert cli("delete", store, IDS[0], "--hard").code == 2
    assert cli("delete", store, IDS[0], "--hard", "--yes").code == 0
    assert cli("delete", store, IDS[0], "--restore").code == 3


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("no\n", 1), ("", 1)])
def test_a_terminal_is_asked(cli, store, monkeypatch, answer, left):
    class Terminal:
        isatty = staticmethod(lambda: True)
        readline = staticmethod(lambda: answer)

    monkeypatch.setattr("sys.stdin", Terminal)
    result = cli("delete", store, IDS[0])
    assert "delete 1 memories of" in result.err
    assert cli("get", store, IDS[0]).code == (0 if left else 3)


def test_no_ids_are_a_mistake(cli, store):
    assert "no ids were given; name some" in cli("delete", store).err


def test_memories_are_chosen_by_their_metadata(cli, store):
    with FingerprintStore.open(store) as opened:
        for number, one in enumerate(IDS):
            opened.store(one, {"E8": np.ones(384)}, metadata={"year": 2000 + number})
    where = '{"year": {"$gte": 2001}}'
    dry = cli("delete", store, "--where", where, "--dry-run")
    assert dry.out == "2 memories would be deleted\n"
    assert cli("delete", store, "--where", where).out == "2 memories deleted\n"
    assert cli("get", store, IDS[0]).code == 0


@pytest.mark.parametrize("text", ["{", "[]", '{"year": {"$gt": 1, "$no": 2}}', '{"a": NaN}'])
def test_conditions_that_are_none_are_a_mistake(cli, store, text):
    result = cli("delete", store, "--where", text)
    assert result.code == 2
    assert result.err.startswith("cgcython delete: error: argument --where: ")
