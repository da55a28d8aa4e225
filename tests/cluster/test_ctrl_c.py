"""Ctrl-C waits until workers are started, or ended, and never reaches them."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from cgcython.cluster.ctrl_c import LaterCtrlC

SHOW = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"


def press():
    os.kill(os.getpid(), signal.SIGINT)


def interrupted(function):
    with pytest.raises(KeyboardInterrupt):
        function()
    return True


def test_it_is_raised_when_the_block_ends():
    done = []

    def run():
        with LaterCtrlC():
            press()
            done.append(1)

    assert interrupted(run)
    assert done == [1]


def test_it_is_raised_where_it_may_be():
    done = []

    def run():
        with LaterCtrlC() as ctrl_c:
            press()
            done.append("started")
            with ctrl_c.now():
                done.append("never")

    assert interrupted(run)
    assert done == ["started"]


def test_where_it_may_be_it_is_what_it_was_before():
    done = []

    def run():
        with LaterCtrlC() as ctrl_c:
            try:
                with ctrl_c.now():
                    press()
                    done.append("never")
            finally:
                press()
                done.append("ended")

    assert interrupted(run)
    assert done == ["ended"]
    assert interrupted(press)


def test_without_it_nothing_is_raised_and_all_is_as_before():
    before = signal.getsignal(signal.SIGINT), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with LaterCtrlC() as ctrl_c, ctrl_c.now():
        pass
    after = signal.getsignal(signal.SIGINT), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert after == before


def test_processes_that_start_meanwhile_never_get_it():
    with LaterCtrlC():
        shown = subprocess.check_output([sys.executable, "-c", SHOW], text=True)
    assert shown == "True\n"


def test_other_threads_may_open_workers_too():
    def enter():
        with LaterCtrlC() as ctrl_c, ctrl_c.now():
            done.append(1)

    done = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert done == [1]
