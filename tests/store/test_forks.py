"""The children of a fork are kept from what their parent has open, and leave without a trace."""

import json
import subprocess
import sys
from pathlib import Path

MEMORIES = str(Path(__file__).parents[1] / "memories.py")
START = """
import json, os, runpy, signal, sys, threading, time
from uuid import UUID
from cgcython import FingerprintStore, StoreUnavailable
from cgcython.store import RecordStore
made = runpy.run_path(sys.argv[1])["make_memories"]()
path, ONE, TWO = sys.argv[2], UUID(int=1), UUID(int=2)
one = made.make(1)
store = FingerprintStore.open(path, made.codebooks, made.profile)
store.store_many((UUID(int=i + 1), made.make(i)) for i in range(20))

def listing():
    return sorted((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in os.scandir(path))

def outcome(call):
    try:
        return repr(call())
    except StoreUnavailable as error:
        return "refused" if "opened before a fork" in str(error) else str(error)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"

def in_child(work, leave=sys.exit):
    '''Return what work() returns in a child, and how the child ended within ten seconds.'''
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(write, json.dumps(work()).encode())
        leave(7)
    os.close(write)
    signal.alarm(10)
    with open(read, "rb") as pipe:
        found = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    signal.alarm(0)
    return json.loads(found or "null"), status
"""


def run(script, path):
    """Return what a script prints as JSON at its end."""
    command = [sys.executable, "-W", "ignore", "-c", START + script, MEMORIES, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


EVERY_CALL = """
CALLS = dict(
    add=([TWO], {"E9": [one["E9"]]}), add_batches=([([TWO], {"E9": [one["E9"]]})],),
    backup=(path + ".copy",), catch_up=(), check=(), compact=(), delete=(ONE,),
    delete_many=([ONE],), delete_where=({"a": 1},), drop_codebooks=(), encode=([one],),
    begin_reencode=("E1", made.other_codebooks[0]), codebook=(made.codebooks[0].codebook_id,),
    existing=([ONE],), move_part=("E1", made.codebooks[0].codebook_id), parts=(),
    quantized_many=([ONE], "E9"),
    get_stored_size=(ONE,), ids=(),
    info=(ONE,), infos=(), prepared=([ONE],), purge=(), quantized=(ONE,),
    reencode=("E1", made.other_codebooks[0]),
    restore=(ONE,), retrieve=(ONE,), retrieve_many=([ONE],), save_columns=(), scan=("E9",),
    search=(one,), search_many=({"E9": [one["E9"]]},), sections=(8, []), snapshot=(), view=(),
    note_losses=(), statistics=(), store=(TWO, one),
    store_many=([(TWO, one)],), store_quantized=([(TWO, one.encode(store.router))],), trash=(),
    update=(ONE, {"E9": None}), use_codebooks=(made.other_codebooks,), verify=(),
    __len__=(), __iter__=(), __contains__=(ONE,),
)
def used(of, name):
    found = getattr(of, name)(*CALLS[name])
    if name in ("snapshot", "view"):
        found.__enter__()
    elif name in ("ids", "infos", "scan", "sections", "__iter__"):
        next(iter(found))
    return "answered"
def public(kind):
    names = {name for name in dir(kind) if callable(getattr(kind, name)) and name[0] != "_"}
    return names - {"open", "close"}
follower = RecordStore.open(path, follow=True)
"""


def test_every_call_is_refused_in_a_child(tmp_path):
    found = run(
        EVERY_CALL
        + """
with store.snapshot() as view:
    rows, keys, seen = store.scan("E9"), iter(store), view.scan("E9")
    next(rows), next(keys), next(seen)
    def work():
        said = {}
        for kind, of in (("store", store), ("follower", follower), ("view", view)):
            for name in sorted(public(type(of)) | {"__len__", "__iter__", "__contains__"}):
                said[f"{kind}.{name}"] = outcome(lambda: used(of, name))
            said[f"{kind}.store_many of nothing"] = (
                outcome(lambda: of.store_many([])) if hasattr(of, "store_many") else "refused"
            )
            said[f"{kind}.journal.position"] = outcome(of.journal.position)
        for name, rows_ in (("rows", rows), ("keys", keys), ("seen", seen)):
            said[name] = outcome(lambda: next(rows_))
        return said
    said, status = in_child(work)
    goes_on = [len(list(rows)), len(list(keys)), len(list(seen))]
store.store(TWO, one)
print(json.dumps([said, status, goes_on, follower.catch_up() == [TWO]]))
""",
        tmp_path / "s",
    )
    said, status, goes_on, followed = found
    assert {name: one for name, one in said.items() if one != "refused"} == {}
    assert len(said) > 60
    assert (status, goes_on, followed) == (7, [19, 19, 19], True)


def test_a_child_leaves_no_trace_however_it_leaves(tmp_path):
    found = run(
        """
follower, before = RecordStore.open(path, follow=True), listing()
def closed():
    store.close(), follower.close()
def dropped():
    global store, follower
    del store, follower
statuses = [in_child(work)[1] for work in (closed, dropped, lambda: None)]
statuses.append(in_child(closed, os._exit)[1])
same = listing() == before
store.store(TWO, one)
print(json.dumps([statuses, same, follower.catch_up() == [TWO], store.verify().ok]))
""",
        tmp_path / "s",
    )
    assert found == [[7] * 4, True, True, True]


def test_children_leave_while_other_threads_write(tmp_path):
    statuses, ok = run(
        """
stop = False
def write():
    while not stop:
        store.store_many((UUID(int=i + 1), made.make(i)) for i in range(20))
        store.compact()
threads = [threading.Thread(target=write) for _ in range(2)]
[one.start() for one in threads]
statuses = []
for _ in range(15):
    said, status = in_child(lambda: [outcome(lambda: store.store(ONE, one)), store.close()])
    statuses.append([said and said[0], status])
stop = True
[one.join() for one in threads]
print(json.dumps([statuses, store.verify().ok]))
""",
        tmp_path / "s",
    )
    assert statuses == [["refused", 7]] * 15
    assert ok


def test_workers_of_pools_are_refused(tmp_path):
    found = run(
        """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
fork = multiprocessing.get_context("fork")
def work(number):
    return outcome(lambda: store.store(UUID(int=number), one))
with fork.Pool(2) as pool:
    found = pool.map_async(work, range(4)).get(30)
with ProcessPoolExecutor(2, mp_context=fork) as pool:
    found += list(pool.map(work, range(4), timeout=30))
    try:
        pool.submit(store.store, ONE, one).result(30)
    except Exception as error:
        found.append(type(error).__name__)
store.close()
print(json.dumps([found, len(FingerprintStore.open(path))]))
""",
        tmp_path / "s",
    )
    # A store cannot be pickled; what a worker inherited refuses.
    assert found == [["refused"] * 8 + ["AttributeError"], 20]


def test_a_child_reads_by_a_store_of_its_own_and_cannot_write(tmp_path):
    (read, followed, same, other, repaired), status = run(
        """
from cgcython.store import repair
def reading(how):
    with FingerprintStore.open(path, **how) as mine:
        return [len(mine), mine.verify().ok, len(mine.search(one))]
def work():
    return [
        reading({"read_only": True}),
        reading({"follow": True}),
        outcome(lambda: FingerprintStore.open(path)),
        outcome(lambda: FingerprintStore.open(path + ".new", profile=made.profile)),
        outcome(lambda: repair(path + ".copy")),
    ]
store.backup(path + ".copy")
print(json.dumps(in_child(work)))
""",
        tmp_path / "s",
    )
    assert read == followed == [20, True, 10]
    assert "another process has it open" in same
    assert "spawn or forkserver" in other
    assert "spawn or forkserver" in repaired
    assert status == 7
    assert not (tmp_path / "s.new").exists()


def test_kernels_codecs_and_mapped_columns_go_on_working_in_a_child(tmp_path):
    found = run(
        """
store.save_columns(["E9", "E2"])
import numpy as np
from cgcython import QuantizationRouter, TokenArray
tokens = TokenArray.from_list([np.eye(4, 8)])
tokens.save(path + ".tokens")
mapped = TokenArray.load(path + ".tokens")
def work():
    decoded = one.encode(store.router).decode(store.router)
    return [len(decoded) == len(one), len(mapped)]
print(json.dumps(in_child(work)))
""",
        tmp_path / "s",
    )
    assert found == [[True, 1], 7]


def test_a_child_that_outlives_its_parent_does_not_keep_the_store_locked(tmp_path):
    script = """
if os.fork() == 0:
    time.sleep(20)
    os._exit(0)
print(json.dumps(os.getpid()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    command = [sys.executable, "-W", "ignore", "-c", START + script, MEMORIES, str(tmp_path / "s")]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    open_it = (
        "import sys; from cgcython.store import RecordStore\n"
        "with RecordStore.open(sys.argv[1]) as store: print(len(store))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", open_it, str(tmp_path / "s")],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "20\n", done.stderr


def test_an_index_of_metadata_is_the_parents(tmp_path):
    found = run(
        """
store.store(ONE, one, metadata={"a": 1})
wanted = {"a": {"$gte": 1}}
answers = [len(list(store.ids(where=wanted)))]
stop = threading.Event()
def filter_on():
    while not stop.is_set():
        list(store.ids(where={"a": {"$lt": time.time()}}))
thread = threading.Thread(target=filter_on)
thread.start()
for _ in range(5):
    answers.append(in_child(lambda: outcome(lambda: list(store.ids(where=wanted)))))
stop.set()
thread.join()
store.store(TWO, one, metadata={"a": 2})
answers.append(len(list(store.ids(where=wanted))))
print(json.dumps(answers))
""",
        tmp_path / "s",
    )
    assert found == [1, *[["refused", 7]] * 5, 2]
