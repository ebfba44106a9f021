"""``compareface config``: print the effective settings as ``NAME=value`` lines, with secrets masked.

Secrets are printed as comments, so that the output can be used as an environment file.
"""

import argparse

from app.environment import MASK, environment_text, load_settings, settings_fields


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the effective settings, read from these environment variables:"
    settings = (
        f"  {name} ({_default_text(field.default)})\n      {field.description}"
        for name, field in settings_fields().items()
    )
    parser.epilog = "\n".join([*settings, "", str(parser.epilog)])
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(_: argparse.Namespace) -> int:
    values = [value for _, group in load_settings() for _, value in group]
    for name, text in zip(settings_fields(), map(environment_text, values), strict=True):
        print(f"{'# ' if MASK in text else ''}{name}={text}")
    return 0


def _default_text(value: object) -> str:
    text = environment_text(value)
    return f"default: {text}" if text else "no default"
