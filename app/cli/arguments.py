"""Arguments that several commands share."""

import argparse
import base64
import math
from pathlib import Path

from app.domain import ImageRef, Population
from app.environment import Settings
from app.errors import ApiError, ErrorCode
from app.validation import is_text


def add_pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pack", metavar="NAME", help="default: the configured pack")


def add_population(parser: argparse.ArgumentParser) -> None:
    names = [population.value for population in Population]
    text = "the FAR holds for any two people (general) or for similar people (matched); default: the configured one"
    parser.add_argument("--population", choices=names, help=text)


def with_population(settings: Settings, name: str | None) -> Settings:
    """Return ``settings`` with the population ``name`` of the command line, if there is one."""
    if name is None:
        return settings
    compare = settings.compare.model_copy(update={"population": Population(name)})
    return settings.model_copy(update={"compare": compare})


def add_face_source(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that ``measure`` reads: labelled faces, and the pack that embeds them."""
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="folder with one subfolder per person")
    pairs = "compare listed pairs only: lines `A B same|different`, or with FOLDER the pairs.txt of LFW"
    parser.add_argument("--pairs", type=Path, metavar="FILE", help=pairs)
    add_pack(parser)


def add_endpoint(parser: argparse.ArgumentParser) -> None:
    endpoint = "URL of the service (default: %(default)s)"
    parser.add_argument("--endpoint", type=valid_text, default="http://127.0.0.1:8000", help=endpoint)


def add_secret_id(parser: argparse.ArgumentParser) -> None:
    choice = "sign with the first key of this SecretId; default: the first allowed key"
    parser.add_argument("--secret-id", type=valid_text, help=choice)


def valid_text(argument: str) -> str:
    """Return ``argument``; reject bytes that are not text, which no request contains."""
    if not is_text(argument):
        raise argparse.ArgumentTypeError("not text in the encoding of this terminal")
    return argument


def positive_float(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError("must be above 0")
    return number


def positive_int(text: str) -> int:
    positive_float(text)
    return int(text)


def image_ref(name: str) -> ImageRef:
    """Return the reference to an image, given a URL or a file; raise ``OSError`` if the file cannot be read.

    Raise ``ApiError`` for a URL that is not text.
    """
    if name.startswith(("http://", "https://")):
        if not is_text(name):
            raise ApiError(ErrorCode.URL_ILLEGAL)
        return ImageRef(url=name)
    return ImageRef(base64=base64.b64encode(Path(name).read_bytes()).decode("ascii"))
