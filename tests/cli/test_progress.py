"""Bars are drawn on a terminal, and what is printed meanwhile does not break them."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

pytest.importorskip("tqdm")

SCRIPT = """
import logging, warnings
from cgcython.cli.output import print_json
from cgcython.cli.progress import progress
from cgcython.cli.streams import say
with progress(3, "memory", "encode") as bar:
    bar.advance()
    say("cgcython: warning: a warning")
    print_json({"data": 1})
    logging.getLogger("cgcython.store").warning("a log line")
    bar.advance(2)
"""


def on_terminal(*command):
    """Return what a command prints on a terminal of its own."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    done = subprocess.Popen(command, stdout=writer, stderr=writer, stdin=writer)
    os.close(writer)
    printed = b""
    try:
        while part := os.read(reader, 1 << 16):
            printed += part
    except OSError:  # Linux says so where the last writer has gone
        pass
    os.close(reader)
    assert done.wait() == 0, printed
    return printed.decode()


def test_lines_stand_above_the_bar():
    printed = on_terminal(sys.executable, "-c", SCRIPT)
    assert "encode: 100%" in printed
    for line in ("cgcython: warning: a warning", '{"data": 1}', "a log line"):
        # The bar is wiped out, the line stands alone.
        assert re.search(rf"\r *\r{re.escape(line)}\r\n", printed), printed


def test_a_command_draws_a_bar(work):
    words = ["search", f"{work}/queries.npz", "--store", f"{work}/store", "--json", "-k", "1"]
    printed = on_terminal(sys.executable, "-m", "cgcython", *words)
    assert "search: 100%" in printed
    # Lines of JSON are whole: none has a part of the bar in it.
    assert len(re.findall(r'(?:^|[\r\n])\{"query": \d, "hits": \[.*\]\}\r\n', printed)) == 6


def test_shards_are_counted_with_their_rate_and_the_time_left(work, tmp_path):
    place = "--models", f"{work}/models", "--profile", f"{work}/profile.toml"
    words = "encode", f"{work}/corpus.npz", "--out", f"{tmp_path}/out", "--shard-size", "8", *place
    printed = on_terminal(sys.executable, "-m", "cgcython", *words)
    assert re.search(r"encode: 100%.* 5\.00/5\.00 \[00:\d\d<00:00, .*shard", printed), printed


def test_no_bar_is_drawn_without_a_terminal(cli, work):
    result = cli("search", work / "queries.npz", "--store", work / "store", "--json")
    assert result.err == ""
