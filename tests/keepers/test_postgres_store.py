"""A store in PostgreSQL asks its server seldom, and gives everything back."""

import os
import signal
import subprocess
import sys
from uuid import UUID

import pytest
from keepers.postgres_stores import new_url

from cgcython.search import FingerprintStore
from cgcython.store.keepers.postgres.connections import Link

pytestmark = pytest.mark.keepers
IDS = [UUID(int=n << 96 | n) for n in range(1500)]
EMBEDDERS = ["E1", "E9"]


@pytest.fixture(scope="module")
def store(memories, postgres):
    place = new_url(postgres)
    with FingerprintStore.open(place, memories.codebooks, memories.profile) as opened:
        opened.address = place
        opened.store_many((one, memories.make(n % 50, EMBEDDERS)) for n, one in enumerate(IDS))
        yield opened


@pytest.fixture
def questions(monkeypatch):
    """Return the list of the statements that are sent to the server from now on."""
    sent = []
    for name in ("rows", "run"):
        call = getattr(Link, name)

        def counted(link, statement, values=(), call=call):
            sent.append(statement)
            return call(link, statement, values)

        monkeypatch.setattr(Link, name, counted)
    return sent


def test_many_records_are_retrieved_by_one_question(store, questions):
    assert None not in store.retrieve_many(IDS[:256])
    assert len(questions) == 1


def test_a_search_after_many_changes_asks_seldom(store, memories, questions):
    query = {one: memories.make(1)[one] for one in EMBEDDERS}
    store.search(query, k=3)
    store.store_many((one, memories.make(n % 7, EMBEDDERS)) for n, one in enumerate(IDS[:1000]))
    questions.clear()
    store.search(query, k=3)
    assert len(questions) <= 200  # 20 for each 100 records that changed


def test_a_batch_is_written_by_few_questions(store, memories, questions):
    store.store_many([(one, memories.make(3, EMBEDDERS)) for one in IDS[:256]])
    assert len(questions) <= 8


def test_conditions_are_answered_by_the_server(store, memories, questions):
    for n, one in enumerate(IDS[:20]):
        store.update(one, {}, metadata={"n": n})
    query = memories.make(1)["E9"]
    found = store.search({"E9": query}, k=30, where={"n": {"$lt": 5}})
    assert {one.id for one in found} == set(IDS[:5])
    assert not list(store.path.rglob("*metadata*"))


def python(code, **options):
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_a_process_that_forgets_to_close_ends_quietly(store):
    code = f"""
from cgcython.search import FingerprintStore
store = FingerprintStore.open({store.address!r}, read_only=True)
print(len(store.retrieve_many({[str(one) for one in IDS[:3]]!r})))
scan = iter(store.scan("E9")); next(scan)
"""
    done = python(code)
    assert (done.stdout, done.stderr, done.returncode) == ("3\n", "", 0)


def test_a_forked_child_ends_quietly_and_harms_nothing(store):
    code = f"""
import os
from cgcython.errors import StoreUnavailable
from cgcython.search import FingerprintStore
store = FingerprintStore.open({store.address!r})
if not os.fork():
    try:
        store.info({str(IDS[0])!r})
    except StoreUnavailable as error:
        print("before a fork" in str(error))
    raise SystemExit
os.wait()
print(store.info({str(IDS[0])!r}) is not None)
"""
    done = python(code)
    assert (done.stdout, done.stderr) == ("True\nTrue\n", "")


def test_ctrl_c_ends_a_question_and_leaves_the_store_usable(store):
    link = store._keeper._session

    def interrupted(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupted)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            link.write(lambda one: one.rows("SELECT pg_sleep(20)"))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert store.info(IDS[0]) is not None


def test_commands_take_the_url_of_a_store(store):
    environment = {**os.environ, "NO_COLOR": "1"}
    for command in (["store", "stats"], ["verify"]):
        done = subprocess.run(
            [sys.executable, "-m", "cgcython", *command, store.address],
            capture_output=True, text=True, check=False, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "1,500" in done.stdout or "1500" in done.stdout
