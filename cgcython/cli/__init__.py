"""The `cgcython` command: arguments in, tables or JSON on stdout, everything else on stderr.

Each command is a module of this package, imported when it is called, with two functions:
`add_arguments(parser)` and `run(args) -> exit code`.
"""

import argparse
import importlib
import sys
import traceback
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from cgcython import __version__
from cgcython.cli import settings
from cgcython.cli.failures import BAD_DATA, INTERRUPTED, OK, exit_code
from cgcython.cli.interruption import never_forgotten
from cgcython.cli.parser import Parser
from cgcython.cli.streams import flush_failure, is_of_stdout, say, streams
from cgcython.errors import QuantizationError, UsageError

COMMANDS = {
    "train": "learn the codebook of a PQ embedder from example embeddings",
    "encode": "quantize a corpus into a store or into safetensors shards",
    "migrate": "turn float32 embeddings of an earlier system into a store",
    "decode": "turn a store or shards back into float32 arrays",
    "export": "write memories to a Parquet or .npz file",
    "inspect": "say what a codebook, record, shard or store holds",
    "index": "keep a store's columns, and graphs if wanted, in files for faster searches",
    "search": "find the memories nearest to query embeddings",
    "get": "show one memory of a store: embeddings, times, metadata",
    "delete": "delete memories of a store, or bring them back",
    "eval": "measure loss and retrieval quality against float32",
    "drift": "compare new embeddings with those that codebooks were trained on",
    "store": "sizes, backup, compaction, trash and codebooks of a store",
    "verify": "read and check every record of a store",
    "bench": "time this machine beside budgets and targets",
    "info": "show version, processor levels and extras of this installation",
}
PARTS: dict[tuple[str, ...], str] = {  # commands of two words, where they have own arguments
    ("eval", "methods"): "eval_methods",
    ("eval", "tokens"): "eval_tokens",
}
EPILOG = """\
a first run:
  cgcython train E1 --input E1=train.npy --models models
  cgcython encode E1=docs.npy --models models --store memories
  cgcython search E1=queries.npy --store memories -k 5

exit status: 0 ok, 1 a limit failed, 2 usage, 3 bad data, 4 codebook, 5 store
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors become one line on stderr."""
    argv = sys.argv[1:] if argv is None else argv
    args = argparse.Namespace()
    with streams():
        try:
            with warnings.catch_warnings(), never_forgotten():
                warnings.simplefilter("default")
                warnings.showwarning = _warn
                return _printed(_guarded(argv, args))
        except KeyboardInterrupt:
            say(f"cgcython: interrupted; {_going_on(args)}")
            return INTERRUPTED


def _going_on(args: argparse.Namespace) -> str:
    """Return how an interrupted command goes on: with --resume where it has that."""
    # With `encode --out`, finished shards are skipped as it is.
    resumes = getattr(args, "resume", True) or args.store is None
    return "run it again to go on" if resumes else "run it again with --resume to go on"


class _Completion(argparse.Action):
    """Prints the completion script of a shell and exits, as --version does."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        from cgcython.cli.completion import script

        print(script(parser_for([], every=True), values))
        raise SystemExit(OK)


def parser_for(argv: Sequence[str], every: bool = False) -> Parser:
    """Return the parser of the whole command, with the arguments of the command in `argv`.

    `every` adds the arguments of all commands, for which all of them are imported.
    """
    parser = Parser(
        prog="cgcython",
        description="Quantize, store, search and score the embeddings of memories.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"cgcython {__version__}")
    parser.add_argument(
        "--print-completion",
        choices=("bash", "zsh", "tcsh"),
        action=_Completion,
        help="print what completes words in a shell; needs [completion]",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    words = [word for word in argv if not word.startswith("-")]
    chosen = words[0] if words else None
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if every:
            _complete(command, _module(name))
        elif name == chosen:
            part = tuple(words[:2])
            _complete(command, _module(PARTS.get(part, name)))
            if not {"-h", "--help"} & set(argv):
                own = part if part in PARTS else (name,)
                settings.add_settings(command, settings.path_in(argv), own, list(COMMANDS))
    return parser


def _module(name: str) -> ModuleType:
    """Return the module of a command; raises UsageError for a CGCYTHON_LEVEL that none has."""
    try:
        return importlib.import_module(f"cgcython.cli.{name}")
    except ValueError as error:
        raise UsageError(str(error)) from None


def _complete(command: Parser, module: ModuleType) -> None:
    """Give a command the arguments of its module, and its docstring as help."""
    # Under `python -OO` there is no docstring.
    command.description, _, command.epilog = (module.__doc__ or "").strip().partition("\n\n")
    module.add_arguments(command)
    for one in command.commands().values() or [command]:
        told = f"options of commands (default {settings.FILE} of the folder, where it is)"
        one.add_argument(settings.OPTION, metavar="FILE.toml", help=told)
        one.add_argument("--debug", action="store_true", help="show the traceback of an error")
    command.set_defaults(run=module.run)


def _guarded(argv: Sequence[str], args: argparse.Namespace) -> int:
    """Run a command; return its exit code, or that of the error that it ends with.

    What `argv` means is kept in `args`.
    """
    try:
        parser_for(argv).parse_args(argv, args)
        code: int = args.run(args)
        return code
    except SystemExit as stop:  # the parser has printed the help or the mistake
        return stop.code if isinstance(stop.code, int) else OK
    except (QuantizationError, OSError) as error:
        if isinstance(error, OSError) and is_of_stdout(error):
            return _unprinted(error)
        _mend(error, args)
        if "--debug" in argv:
            say("".join(traceback.format_exception(error)).rstrip())
        say(f"cgcython: error: {_one_line(error)}")
        return exit_code(error)
    except MemoryError:
        say("cgcython: error: out of memory; pass fewer rows at a time")
        return BAD_DATA


def _mend(error: Exception, args: argparse.Namespace) -> None:
    """Complete what an error recommends by what the user gave."""
    from cgcython.cli.remedies import mend  # only errors need it

    mend(error, args)


def _printed(code: int) -> int:
    """Return a command's exit code, or another where stdout does not take what it printed."""
    failure = flush_failure()
    return code if failure is None else _unprinted(failure)


def _unprinted(failure: OSError) -> int:
    if isinstance(failure, BrokenPipeError):  # the reader, `head` perhaps, has seen enough
        return OK
    say(f"cgcython: error: stdout: {failure.strerror}; write the output to another place")
    return BAD_DATA


def _one_line(error: Exception) -> str:
    notes = getattr(error, "__notes__", ())
    return " ".join(" ".join([str(error), *notes]).split())


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    say(f"cgcython: warning: {' '.join(str(message).split())}")
