"""Where word vectors come from: from a name or a path to a file on disk."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from glove_bilstm.vectors.errors import InputError

DEMO = "demo"
"""The name of the bundled vectors, and of the bundled data set."""


@dataclass(frozen=True)
class Source:
    """A file of vectors and the facts that belong to it."""

    name: str
    path: Path

    def sha256(self) -> str:
        """The SHA-256 of the file's bytes, in hexadecimal: what a model's provenance records."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def find_source(name: str | Path) -> Source:
    """Resolve the name of a set, or a path.

    Args:
        name: ``"demo"`` for the bundled vectors, or the path of a file.

    Raises:
        InputError: No set has that name and no file is at that path.
    """
    if name == DEMO:
        # Packages install as plain folders, so a resource is a real file.
        return Source("glove.demo.50d", Path(str(files("glove_bilstm.demo") / "glove.demo.50d.txt.gz")))
    path = Path(name).expanduser()
    if path.is_dir():
        raise InputError(
            f"{path} is a folder. Give the vectors file itself, for instance {path / 'glove.6B.100d.txt'}."
        )
    if not path.is_file():
        raise InputError(f"There is no vectors file {path}. Give the path of a GloVe text file, or '{DEMO}'.")
    name = path.name
    for ending in (".gz", ".txt"):
        name = name.removesuffix(ending)
    return Source(name, path)
