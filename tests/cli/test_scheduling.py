"""Options of schedulers, and what a command says of units that fail."""

from argparse import ArgumentParser

import pytest

from cgcython.cli import options
from cgcython.cli.scheduling import Units, runner_of
from cgcython.errors import InvalidInput, StorageCorruption, UsageError
from cgcython.runners import InProcess


@pytest.fixture
def parser():
    parser = ArgumentParser()
    options.add_scheduler(parser)
    return parser


def refuse_odd(number):
    if number % 2:
        raise StorageCorruption(where=f"number {number}", reason="it is odd")
    return -number


def test_no_scheduler_is_the_default(parser):
    args = parser.parse_args([])
    assert (args.scheduler, args.workers, args.on_damage) == (None, None, "stop")
    with runner_of(args) as runner:
        assert isinstance(runner, InProcess)


def test_workers_need_a_scheduler(parser):
    with pytest.raises(UsageError, match="--workers is for --scheduler"):
        runner_of(parser.parse_args(["--workers", "2"])).__enter__()


def test_a_command_that_leaves_nothing_out_has_no_choice_at_damage():
    parser = ArgumentParser()
    options.add_scheduler(parser, unit=None)
    assert vars(parser.parse_args(["--scheduler", "threads"])).keys() == {"scheduler", "workers"}


@pytest.mark.parametrize("words", ["--scheduler slurm", "--workers 0", "--on-damage ask"])
def test_other_values_are_refused(parser, words, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(words.split())
    assert words.split()[0] in capsys.readouterr().err


def test_stop_raises_the_first_error_and_names_the_unit():
    units, found = Units("shard"), []
    with pytest.raises(StorageCorruption) as raised:
        found.extend(units.results(InProcess(), refuse_odd, [2, 4, 5, 6], "test"))
    assert raised.value.__notes__ == ["(shard 5)"]
    assert found == [(2, -2), (4, -4)]


def test_skip_does_the_others_and_names_those_that_failed(capsys):
    units = Units("shard", "skip")
    assert list(units.results(InProcess(), refuse_odd, [1, 2, 3], "test")) == [(2, -2)]
    assert units.exit_code() == 5
    assert [line[:26] for line in capsys.readouterr().err.splitlines()] == [
        f"shard {n}: [EMB-E010] number" for n in (1, 3)
    ]


def test_other_errors_are_raised_whatever_is_skipped():
    with pytest.raises(TypeError):
        list(Units("shard", "skip").results(InProcess(), refuse_odd, [None], "test"))


def test_the_exit_code_is_that_of_the_first_error():
    assert Units("shard", "skip").exit_code() == 0
    units = Units("shard", "skip")
    units.failed[1] = InvalidInput(what="a", expected="b", actual="c")
    assert units.exit_code() == 3
