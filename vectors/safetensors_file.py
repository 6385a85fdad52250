"""Word vectors in a safetensors file, mapped into memory.

The format, https://huggingface.co/docs/safetensors: the length of a JSON header in eight bytes, the header, then the
tensors' bytes. Ours hold the tensor ``vectors``, float32 ``[n, dim]``, and the tensor ``words``, the bytes of all
words in UTF-8, divided by newlines.
"""

import json
import struct
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from glove_bilstm.vectors.errors import InputError

DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "U8": "u1"}
"""The format's names of what can be read, and numpy's."""
LONGEST_HEADER = 100_000_000
"""Bytes; the safetensors library's own limit."""
PROFILE = "tokenization_profile"
"""The metadata's key of the tokenization profile that belongs to the vectors."""


def is_safetensors(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a safetensors file."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < LONGEST_HEADER


def map_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Map the tensors of a file into memory, which reads nothing yet, where the library's own loader copies.

    Returns:
        Name → array, for the dtypes that numpy has; writing to one changes memory, never the file. And the metadata.

    Raises:
        InputError: The file is cut off or damaged.
    """
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > LONGEST_HEADER:
                raise ValueError("its header is too long")
            header = json.loads(file.read(length))
            size = file.seek(0, 2) - 8 - length
        metadata = dict(header.pop("__metadata__", {}))
        if size != max((entry["data_offsets"][1] for entry in header.values()), default=0):
            raise ValueError("it has another size than its header says")
        content = np.memmap(path, np.uint8, "c", 8 + length) if size else np.empty(0, np.uint8)
        arrays = {}
        for name, entry in header.items():
            if entry["dtype"] in DTYPES:
                start, stop = entry["data_offsets"]
                arrays[name] = np.asarray(content[start:stop]).view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    except (ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
        raise InputError(
            f"{path} is a damaged safetensors file ({error}). Delete it, and fetch or make it again."
        ) from error
    return arrays, metadata


def save_vectors(path: Path, words: list[str], matrix: np.ndarray, metadata: dict[str, str] | None = None) -> None:
    r"""Write words and their vectors as a safetensors file.

    Args:
        path: The file.
        words: The words.
        matrix: Their vectors, float32 ``[len(words), dim]``.
        metadata: Written into the header.

    Raises:
        ValueError: A word holds a newline, which divides them in the file.
    """
    joined = "\n".join(words)
    if joined.count("\n") != max(len(words) - 1, 0):
        raise ValueError("A word that holds a newline can't be saved.")
    encoded = np.frombuffer(joined.encode(), dtype=np.uint8)
    # The library would make a file for the owner alone.
    path.touch()
    mode = path.stat().st_mode
    save_file({"vectors": np.ascontiguousarray(matrix), "words": encoded}, path, metadata)
    path.chmod(mode)


def saved_profile(path: Path) -> str | None:
    """The tokenization profile that vectors were saved with; None where the file is another or says nothing."""
    with path.open("rb") as file:
        if not is_safetensors(file.read(9)):
            return None
    try:
        return map_tensors(path)[1].get(PROFILE)
    except InputError:  # which is told when its vectors are read
        return None


def split_words(encoded: np.ndarray, count: int) -> list[str]:
    """The words of the tensor ``words``.

    Raises:
        ValueError: They aren't as many as `count`, or not UTF-8.
    """
    words = encoded.tobytes().decode().split("\n") if count else []
    if len(words) != count:
        raise ValueError(f"there are {len(words):,} words for {count:,} vectors")
    return words


def read_safetensors(path: Path) -> tuple[list[str], np.ndarray]:
    """Read words and vectors from any safetensors file that pairs them.

    The vectors are its one tensor of two dimensions. The words are the tensor ``words`` that `save_vectors` writes, or
    the vocabulary of a ``tokenizer.json`` beside the file, as a trained model's folder and model2vec's have it.

    Returns:
        The words and the vectors, ``[n, dim]`` in the file's dtype.

    Raises:
        InputError: The file is damaged, or words and vectors don't pair.
    """
    arrays, _ = map_tensors(path)
    matrices = {name: array for name, array in arrays.items() if array.ndim == 2 and array.dtype.kind == "f"}
    preferred = [name for name in matrices if "embed" in name or name == "vectors"]
    names = preferred if len(preferred) == 1 else list(matrices)
    if len(names) != 1:
        raise InputError(
            f"{path} holds {len(names)} matrices of dtype F16, F32 or F64; word vectors are one, [words, dimension]."
        )
    matrix = matrices[names[0]]
    beside = path.with_name("tokenizer.json")
    from tokenizers import Tokenizer  # here, because few need it

    try:
        if "words" in arrays:
            return split_words(arrays["words"], len(matrix)), matrix
        if not beside.is_file():
            raise ValueError("there is no tensor 'words' in it, and no tokenizer.json beside it")
        try:
            vocabulary = Tokenizer.from_file(str(beside)).get_vocab(with_added_tokens=True)
        except Exception as error:  # the library raises nothing more particular
            raise ValueError(f"{beside.name} can't be read ({error})") from error
        ordered = sorted(vocabulary, key=vocabulary.__getitem__)
        if sorted(vocabulary.values()) != list(range(len(matrix))):
            raise ValueError(f"{beside.name} has {len(ordered):,} words for {len(matrix):,} vectors")
        return ordered, matrix
    except ValueError as error:
        raise InputError(f"{path} can't be read as word vectors: {error}.") from error
