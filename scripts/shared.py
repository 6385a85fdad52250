"""What the commands share: parsing, and turning failures into sentences."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol


class Command(Protocol):
    """A script's `main`."""

    def __call__(self, argv: Sequence[str] | None = None) -> int:
        """Run with these arguments (None: the command line's) and give the exit status."""


def make_parser(verb: str, description: str, epilog: str | None = None) -> argparse.ArgumentParser:
    """A parser with what every verb takes. Defaults are those of the code that is called, so none is set here."""
    parser = argparse.ArgumentParser(
        prog=f"glove-bilstm {verb}",
        description=description,
        epilog=epilog,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", default=False, help="show the traceback of an error")
    return parser


def add_computing(parser: argparse.ArgumentParser) -> None:
    """Let the user say where a trained model computes, and in which precision."""
    parser.add_argument(
        "--device",
        default="auto",
        help="where the model computes: cpu, cuda, cuda:1, ... (default: cuda if torch finds it, else cpu)",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="auto",
        help="precision of the weights in memory; bfloat16 is faster on processors that have it (AVX512-BF16, AMX), "
        "and rounds (default: that of the file, float32)",
    )


def with_underscores(argv: Sequence[str] | None) -> list[str]:
    """The command line with `--some-flag` written `--some_flag`: both are taken."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for position, argument in enumerate(arguments[:end]):
        if argument.startswith("--") and not any(character.isspace() for character in argument.split("=")[0]):
            flag, equals, value = argument.partition("=")
            arguments[position] = "--" + flag[2:].replace("-", "_") + equals + value
    return arguments


def command(run: Callable[[list[str]], None]) -> Command:
    """Make a script's `main`: a failure that the user can mend is a sentence and a status, not a traceback."""

    def main(argv: Sequence[str] | None = None) -> int:
        arguments = with_underscores(argv)
        logging.basicConfig(format="%(message)s", stream=sys.stderr)
        logging.getLogger("huggingface_hub").propagate = False  # it prints by itself; all would be said twice
        # Of several processes that train together (torchrun numbers them) one tells.
        logging.getLogger("glove_bilstm").setLevel(
            logging.INFO if os.environ.get("RANK", "0") == "0" else logging.ERROR
        )
        try:
            run(arguments)
        except KeyboardInterrupt as interrupt:
            print(f"\nInterrupted. {interrupt}".rstrip(), file=sys.stderr)
            return 130
        except BrokenPipeError:  # who reads what is printed has enough, as `head` does
            return 141  # as when SIGPIPE ends it
        except Exception as error:
            if "--debug" in arguments:
                raise
            expected = isinstance(error, ValueError | OSError)
            told = str(error) if expected else f"{type(error).__name__}: {error} (--debug shows where)"
            print(f"glove-bilstm: {told}", file=sys.stderr)
            return 1
        return 0

    return main


def need(*modules: str) -> None:
    """See that optional packages are there.

    Raises:
        InputError: One isn't.
    """
    from glove_bilstm.vectors.errors import InputError

    if missing := [name for name in modules if find_spec(name) is None]:
        raise InputError(f"This needs {' and '.join(missing)}: pip install {' '.join(missing)}.")


def user_path(text: str) -> Path:
    """A path as a user writes it, ~ included."""
    return Path(text).expanduser()


def output_file(text: str) -> Path:
    """The path of a file to write; refused before any work where it can't be one."""
    path = user_path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder, or lies in none that exists")
    return path


def whole_number(text: str) -> int:
    """A whole number, 0 included."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is no whole number")
    return int(text)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)
