"""The command line: ``compareface COMMAND``.

Each command is a module of this package with ``configure(parser)`` and ``run(args) -> exit code``. Only the module of
the command that runs is imported, so that ``--version`` and ``--help`` stay fast.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

import app
from app.errors import ApiError, OperatorError

COMMANDS = {
    "serve": "serve CompareFace over HTTP",
    "compare": "compare two images (files or URLs)",
    "batch": "score a table of image pairs",
    "inspect": "draw the faces of an image and print their quality",
    "evaluate": "measure FAR and TAR on your images (one folder per person)",
    "calibrate": "adapt the scores to your images (one folder per person)",
    "bench": "measure stage durations, or a service under load",
    "models": "list, pull, prepare, verify and optimize model packs",
    "sign": "print a signed curl command",
    "shadow": "replay recorded requests and compare decisions with the cloud",
    "config": "print the effective settings",
}
_INTERRUPTED, _PIPE_CLOSED = 130, 141  # 128 + SIGINT, 128 + SIGPIPE: the shell convention


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    arguments = sys.argv[1:] if argv is None else argv

    def run() -> int:
        command = next((argument for argument in arguments if not argument.startswith("-")), None)
        args = build_parser(command).parse_args(arguments)
        code: int = args.run(args)
        return code

    return exit_code(run)


def exit_code(run: Callable[[], int]) -> int:
    """Return the exit code of ``run``; print an error that an operator can fix as one line without traceback."""
    try:
        code = run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # the interpreter flushes stdout at exit and would fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except (OperatorError, ApiError, OSError) as error:
        print(f"compareface: {_error_text(error)}", file=sys.stderr)
        return 1
    return code


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser: all commands with their one-line help, and the arguments of ``command``."""
    parser = argparse.ArgumentParser(prog="compareface", description="Self-hosted, drop-in CompareFace.")
    parser.add_argument("--version", action="version", version=f"compareface {app.__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary)
        if name == command:
            module = import_module(f"app.cli.{name}")
            module.configure(subparser)
            subparser.set_defaults(run=module.run)
    return parser


def _error_text(error: Exception) -> str:
    if isinstance(error, ApiError):
        return f"{error.code.value}: {error.message(chinese=False)}" + (f" [{error.reason}]" if error.reason else "")
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
