"""The command line: ``compareface COMMAND``.

Each command is a module of this package with ``configure(parser)`` and ``run(args) -> exit code``. Only the module of
the command that runs is imported, so that ``--version`` and ``--help`` stay fast.
"""

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper

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
EXAMPLES = {
    "serve": "serve",
    "compare": "compare a.jpg b.jpg",
    "batch": "batch pairs.csv --out scores.csv",
    "inspect": "inspect a.jpg",
    "evaluate": "evaluate my_faces/",
    "calibrate": "calibrate my_faces/ --report report.html --install",
    "bench": "bench stages a.jpg",
    "models": "models pull omz",
    "sign": "sign a.jpg b.jpg | bash",
    "shadow": "shadow requests.jsonl --out results.jsonl",
    "config": "config > settings.env",
}
"""A command line of each command."""
_INTERRUPTED, _PIPE_CLOSED = 130, 141  # 128 + SIGINT, 128 + SIGPIPE: the shell convention


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    command = next((argument for argument in arguments if not argument.startswith("-")), None)

    def run() -> int:
        args = build_parser(command).parse_args(arguments)
        code: int = args.run(args)
        return code

    if isinstance(sys.stdout, TextIOWrapper):  # file names need not be valid text, nor in the terminal's encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    code: object = 1  # that of other exceptions
    try:
        return (code := exit_code(run))
    except SystemExit as stop:  # --help, --version and invalid arguments
        code = stop.code
        raise
    finally:
        _fail_shell(command, code)


def exit_code(run: Callable[[], int]) -> int:
    """Return the exit code of ``run``; print an error that an operator can fix as one line without traceback."""
    try:
        code = run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()
        return _PIPE_CLOSED
    except (OperatorError, ApiError, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and not error.filename:
            error.filename = "standard output"  # commands name their files, see `app.tools.files.named`
            _discard_stdout()
        print(f"compareface: {_error_text(error)}", file=sys.stderr)
        return 1
    return code


def _discard_stdout() -> None:
    """Discard the rest of the output, which cannot be written; the interpreter flushes it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail_shell(command: str | None, code: object) -> None:
    """Let a shell that runs the output of a failed ``sign`` fail, too; without a script it would succeed."""
    if command == "sign" and code and not sys.stdout.isatty():
        print("exit 1")


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser: all commands with their one-line help, and the arguments of ``command``."""
    parser = argparse.ArgumentParser(prog="compareface", description="Self-hosted, drop-in CompareFace.")
    parser.add_argument("--version", action="version", version=f"compareface {app.__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        description, example = f"{summary[0].upper()}{summary[1:]}.", f"example: compareface {EXAMPLES[name]}"
        subparser = subparsers.add_parser(name, help=summary, description=description, epilog=example)
        if name == command:
            module = import_module(f"app.cli.{name}")
            module.configure(subparser)
            subparser.set_defaults(run=module.run)
    return parser


def _error_text(error: Exception) -> str:
    if isinstance(error, ApiError):
        message = error.message(chinese=False)
        return f"{error.code.value}: {message}" + (
            f" [{error.reason}]" if error.reason and error.reason not in message else ""
        )
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
