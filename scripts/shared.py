"""What the commands share: parsing, and turning failures into sentences."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
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
        logging.getLogger("glove_bilstm").setLevel(logging.INFO)
        try:
            run(arguments)
        except KeyboardInterrupt as interrupt:
            print(f"\nInterrupted. {interrupt}".rstrip(), file=sys.stderr)
            return 130
        except (ValueError, OSError) as error:
            if "--debug" in arguments:
                raise
            print(f"glove-bilstm: {error}", file=sys.stderr)
            return 1
        return 0

    return main
