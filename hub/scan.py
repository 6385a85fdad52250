"""What must not be published: secrets, paths of this machine, and files that aren't what their names say."""

import json
import re
from pathlib import Path

from huggingface_hub import get_token
from safetensors import SafetensorError, safe_open

from glove_bilstm.hub.files import COVERAGE, DRIFT, TOKENIZER, read_json, read_text
from glove_bilstm.vectors.errors import InputError

PNG = b"\x89PNG\r\n\x1a\n"
"""What every PNG begins with."""
WORD_LISTS = (TOKENIZER, COVERAGE, DRIFT)
"""Files of words, which may look like paths."""
SECRETS = re.compile(
    r"\b(?:hf_\w{30,}|api_org_\w{30,}|gh[pousr]_\w{30,}|github_pat_\w{22,}|glpat-[\w-]{20,}|AKIA[0-9A-Z]{16}|"
    r"AIza[\w-]{35}|sk-[0-9a-f]{32,}\b|xox[abeprs]-[\w-]{10,}|sk-(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{20,})|"
    r"-----BEGIN [A-Z ]*PRIVATE KEY"
)
ESCAPES = re.compile(r"(?<!\\)\\[nrt]")
LOCAL_PATHS = re.compile(
    # A path begins here, or after file://; in "https://host/home/" it doesn't.
    r"(?:(?<![\w./\\])|(?<=\bfile://))(?:"
    r"/(?:home|Users|tmp|var|mnt|srv|gpfs\d*|nfs\d*|lustre|Volumes|private/(?:var|tmp)|run/user|dev/shm|"
    r"content/(?:g?drive|sample_data)|kaggle/(?:working|input|temp))/[\w.]|"
    # Of roots that are words too, as in "work/life", it takes more.
    r"/(?:root|work|workspace|data|media|scratch|opt|content|project|projects)/(?:\.\w|[\w.-]+/[\w.])|"
    r"~/[A-Za-z.])[^\s\"'`)]*|"
    r"(?<!\w)(?:[A-Za-z]:(?:[\\/]{1,2}Users[\\/]{1,2}|\\{1,2}[\w.-]+\\{1,2})|[A-Z]:/[\w.-]+/)\w[^\s\"'`)]*"
)


def scan_file(file: Path, folder: Path) -> None:
    """Look for what must not be published.

    Args:
        file: Of a model.
        folder: The model's; where it lies, and where the user works, is nobody's business.

    Raises:
        InputError: Something was found, or the file isn't what its name says.
    """
    if file.name == "model.onnx":
        return
    text = _read(file)
    places = {folder.resolve(), folder.resolve().parent, Path.cwd(), Path.home()}
    # One folder alone, such as /data, may be a word between slashes.
    own = [place.as_posix() for place in places if len(place.parts) > 2]
    exact = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, own)) or '(?!)'})(?![\w-])")
    token = get_token()
    paths = file.suffix != ".png" and file.name not in WORD_LISTS
    for number, line in enumerate(text.splitlines(), 1):
        if file.suffix == ".json":  # the ends of lines in a text, which look like a drive's folders
            line = ESCAPES.sub(" ", line)
        if SECRETS.search(line) or (token and token in line):
            what = "a secret"
        elif found := (paths and LOCAL_PATHS.search(line)) or exact.search(re.sub(r"\\+", "/", line)):
            what = f"a path of this machine ({found[0]})"
        else:
            continue
        raise InputError(
            f"{file}, line {number}, holds {what}, so nothing was pushed. Take it out of the file first; a text that "
            "a card only quotes may be shortened there."
        )


def _read(file: Path) -> str:
    """The text in a file that is what its name says: of weights their metadata, of a picture all of its bytes."""
    if file.suffix == ".safetensors":
        try:
            with safe_open(file, framework="np") as weights:
                return json.dumps(weights.metadata())
        except SafetensorError as error:
            raise InputError(f"{file} is not in the safetensors format ({error}).") from error
    if file.suffix == ".png":
        content = file.read_bytes()
        if not content.startswith(PNG):
            raise InputError(f"{file} is no PNG, whatever its name says. Remove it.")
        return content.decode("latin-1")
    text = read_text(file)
    if file.suffix == ".json":
        read_json(file)
    return text
