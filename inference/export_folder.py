"""The folder of an export: what is in it, and how a new one takes the place of an earlier one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glove_bilstm.hub.files import beside
from glove_bilstm.inference import onnx_classifier
from glove_bilstm.inference.journal import claim
from glove_bilstm.inference.onnx_classifier import FILES
from glove_bilstm.vectors.errors import InputError

REPORT = "export.json"
RUNTIME = Path(onnx_classifier.__file__).name
OWN = {*FILES, REPORT, RUNTIME, "__pycache__"}
"""What an export writes, and what Python leaves when the runtime is imported from there."""


def check_replaceable(output: Path) -> None:
    """See that a folder can be written: it isn't there, or is empty, or is an export and nothing else.

    Raises:
        InputError: It can't.
    """
    if not output.exists():
        return
    held = [entry.name for entry in output.iterdir()] if output.is_dir() else None
    if held == []:
        return
    if not held or REPORT not in held:
        raise InputError(f"{output} is there already, and no earlier export. Name a new folder, or remove it.")
    if others := sorted(set(held) - OWN):
        told = ", ".join(others[:5]) + ", …" * (len(others) > 5)
        raise InputError(
            f"{output} holds more than an earlier export, which would be lost: {told}. Name a new folder, such as "
            f"{output / 'onnx'}, or move that away."
        )


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """A folder to write into, which becomes the output folder when all went well.

    Beside the output there are meanwhile a lock, the new folder, and, for the moment in which they change places, the
    old one. Their names are always the same, and nobody else's: what a killed process left is found by the next.

    Raises:
        InputError: The output folder can't be replaced, or another process is writing it.
    """
    output = output.resolve()  # "." has no name
    output.parent.mkdir(parents=True, exist_ok=True)
    new, old = beside(output, "glove-bilstm-new"), beside(output, "glove-bilstm-old")
    with claim(output):
        try:
            _put_back(old, output)
            check_replaceable(output)
            if new.exists():
                shutil.rmtree(new)
            new.mkdir()
            yield new
            if output.exists():
                os.replace(output, old)
            os.replace(new, output)
        finally:
            _put_back(old, output)
            shutil.rmtree(new, ignore_errors=True)


def _put_back(old: Path, output: Path) -> None:
    """Let the old folder be the output again if no new one is, and else remove it."""
    if old.exists() and not output.exists():
        os.replace(old, output)
    elif old.exists():
        shutil.rmtree(old)
