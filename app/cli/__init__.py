"""The command line: ``compareface COMMAND``. One module per command, each ``register(subparsers)`` + ``run(args)``;
``source``, ``measure``, ``report``, ``page``, ``curves``, ``charts``, ``pulling``, ``synthetic``, ``findings``,
``drawing``, ``stages``, ``load``, ``recorded``, ``replay``, ``agreement`` and ``cluster`` serve some of them.

Heavy imports belong inside ``run``: building the parser must stay quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import app
from app.errors import ApiError, OperatorError

_COMMANDS = (
    "serve",
    "compare",
    "batch",
    "inspect",
    "evaluate",
    "calibrate",
    "bench",
    "models",
    "sign",
    "shadow",
    "config",
)
_INTERRUPTED, _PIPE_CLOSED = 130, 141  # 128 + SIGINT, 128 + SIGPIPE, as shells have it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code. What an operator can put right is said in one line, without traceback."""
    try:
        args = build_parser().parse_args(argv)
        code: int = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # whoever read the output has had enough; nothing may be flushed to it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except (OperatorError, ApiError, OSError) as error:
        print(f"compareface: {_text(error)}", file=sys.stderr)
        return 1
    return code


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="compareface", description="Self-hosted, drop-in CompareFace.")
    parser.add_argument("--version", action="version", version=f"compareface {app.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in _COMMANDS:
        import_module(f"app.cli.{name}").register(commands)
    return parser


def _text(error: Exception) -> str:
    if isinstance(error, ApiError):
        return f"{error.code.value}: {error.message(chinese=False)}" + (f" [{error.reason}]" if error.reason else "")
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
