"""Where word vectors come from: from a name or a path to a file on disk."""

import difflib
import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from glove_bilstm.vectors.download import fetch
from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.named_sets import NAMED_SETS
from glove_bilstm.vectors.safetensors_file import saved_profile
from glove_bilstm.vectors.spelling import PROFILES
from glove_bilstm.vectors.streams import VectorsFile

DEMO = "demo"
"""The name of the bundled vectors, and of the bundled data set."""

PROFILES_BY_NAME = {
    r"glove[\W_]*twitter": "glove-twitter",
    r"glove[\W_]*840B": "glove-cased",
    r"glove[\W_]*(6B|42B|2024|wiki[\W_]*giga)|glove\.demo\.50d|wiki_giga_2024|dolma_300_2024": "glove",
    r"google[\W_]*news": "word2vec-google-news",
    r"(crawl|wiki-news)-300d|cc\.en\.300": "glove-cased",
}
"""What a file's name tells of the tokenization profile that belongs to its vectors."""
ENDINGS = re.compile(r"(\.(gz|bz2|xz|zst|zip|txt|vec|bin|safetensors))+$")


@dataclass(frozen=True)
class Source:
    """A file of vectors and the facts that belong to it.

    Attributes:
        name: Of the set, or the file's without its endings.
        file: The file on disk.
        profile: The tokenization profile that belongs to the vectors. None: neither the name nor the file tells.
        licence: Of the vectors, as their publisher states it. None: of a file, nobody knows.
    """

    name: str
    file: VectorsFile
    profile: str | None
    licence: str | None = None

    def sha256(self) -> str:
        """The SHA-256 of the file's bytes, in hexadecimal: what a model's provenance records."""
        with self.file.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def find_source(name: str | Path) -> Source:
    """Resolve the name of a set, which is fetched if it isn't on this machine yet, or a path.

    Args:
        name: ``"demo"`` for the bundled vectors, one of `NAMED_SETS`, or the path of a file. A zip archive of several
            files wants one of them after a colon, by its name or its dimension: ``"glove.6B.zip:100d"``.

    Raises:
        InputError: No set has that name and no file is at that path, or the set can't be fetched.
    """
    if name == DEMO:
        # Packages install as plain folders, so a resource is a real file.
        path = Path(str(files("glove_bilstm.demo") / "glove.demo.50d.txt.gz"))
        return Source("glove.demo.50d", VectorsFile(path), "glove")
    if isinstance(name, str) and name in NAMED_SETS:
        chosen = NAMED_SETS[name]
        path = fetch(name, chosen.archive)
        return Source(name, VectorsFile(path, chosen.member), chosen.archive.profile, chosen.archive.licence)
    path = Path(name).expanduser()
    archive, colon, member = str(path).rpartition(":")
    if colon and Path(archive).is_file() and not path.exists():
        path = Path(archive)
    else:
        colon = ""
    if path.is_dir():
        raise InputError(
            f"{path} is a folder. Give the vectors file itself, for instance {path / 'glove.6B.100d.txt'}."
        )
    if not path.is_file():
        raise InputError(_describe_missing(str(name)))
    name = ENDINGS.sub("", path.name)
    if colon:
        name = ENDINGS.sub("", Path(member).name) if not re.fullmatch(r"\d+d?", member) else f"{name}.{member}"
    named = next((profile for pattern, profile in PROFILES_BY_NAME.items() if re.search(pattern, name, re.I)), None)
    saved = saved_profile(path)
    profile = saved if saved in PROFILES else named
    return Source(name, VectorsFile(path, member if colon else None), profile)


def _describe_missing(name: str) -> str:
    """Say that there is no such thing, and what there is that looks like it."""
    lowered = {known.lower(): known for known in [*NAMED_SETS, DEMO]}
    near = difflib.get_close_matches(ENDINGS.sub("", Path(name).name.lower()), lowered, n=3, cutoff=0.6)
    if near:
        return (
            f"There is no vectors file {name}, and no set of that name. "
            f"The nearest {'names are' if len(near) > 1 else 'name is'} {', '.join(lowered[entry] for entry in near)}."
        )
    return (
        f"There is no vectors file {name}. Give the path of a file of word vectors, or one of these names: "
        f"{', '.join(lowered.values())}."
    )
