"""Fetching a published archive: from the Hub with its own client, otherwise over https."""

import hashlib
import logging
import zipfile
from pathlib import Path

from filelock import FileLock
from huggingface_hub import constants

from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.named_sets import GLOVE_COMMIT, GLOVE_REPO, Archive

logger = logging.getLogger(__name__)


def home() -> Path:
    """The folder, beside the Hub's cache, of what this package keeps on disk. Deleting it loses nothing but time."""
    return Path(constants.HF_HUB_CACHE).parent / "glove_bilstm"


def fetch(name: str, archive: Archive) -> Path:
    """The archive on disk; it is fetched and verified the first time.

    A file that was put into ``home() / "vectors"`` by hand is used as it is. The Hub's archives lie in the Hub's
    cache, with all its environment variables (``HF_HOME``, ``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, proxies, …) in force.

    Args:
        name: The set's name, for messages.
        archive: What to fetch.

    Raises:
        InputError: It can't be fetched, or isn't the file that was published; the message says where to put it by
        hand.
    """
    by_hand = home() / "vectors" / archive.file
    if by_hand.is_file():
        return by_hand
    try:
        return _from_hub(archive) if archive.url is None else _from_url(archive, archive.url, by_hand)
    except InputError:
        raise
    except Exception as error:  # of the network, the server or the disk: there are dozens of kinds
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        if constants.is_offline_mode():
            reason = "it isn't on this machine yet, and HF_HUB_OFFLINE forbids to fetch it"
        raise InputError(
            f"The vectors {name} ({archive.megabytes:,} MB, licence: {archive.licence}) can't be fetched: {reason}. "
            f"Try again; what was received is kept, and the rest is fetched. Or get {archive.origin} elsewhere, and "
            f"put the file at {by_hand}, or give its path."
        ) from error


def _from_hub(archive: Archive) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        # The commit is pinned, so what is there can't be out of date, and was verified when it came.
        return Path(hf_hub_download(GLOVE_REPO, archive.file, revision=GLOVE_COMMIT, local_files_only=True))
    except LocalEntryNotFoundError:
        _announce(archive)
    path = Path(hf_hub_download(GLOVE_REPO, archive.file, revision=GLOVE_COMMIT))
    blob = path.resolve()
    try:
        verify(blob, archive)
    except InputError:
        path.unlink()
        blob.unlink(missing_ok=True)
        raise
    return path


def _from_url(archive: Archive, url: str, target: Path) -> Path:
    from huggingface_hub.file_download import http_get

    if constants.is_offline_mode():
        raise ConnectionError
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f"{target.name}.incomplete")
    with FileLock(f"{target}.lock"):
        if target.is_file():  # by another process, meanwhile
            return target
        _announce(archive)
        with beside.open("ab") as file:
            # Where the size isn't known, nobody can tell a whole file from a part.
            if file.tell() > (archive.size or 0):
                file.truncate(0)
            http_get(url, file, resume_size=file.tell(), expected_size=archive.size, displayed_filename=archive.file)
        try:
            verify(beside, archive)
        except InputError:
            beside.unlink()
            raise
        beside.replace(target)
    return target


def _announce(archive: Archive) -> None:
    logger.info(
        f"Fetching {archive.file} ({archive.megabytes:,} MB, licence: {archive.licence}) from {archive.origin}"
    )


def verify(path: Path, archive: Archive) -> None:
    """Check a fetched file against its published checksum, or where there is none a zip archive's own.

    Raises:
        InputError: It is another file than the one published.
    """
    if archive.checksum is not None:
        algorithm, expected = archive.checksum.split(":")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, algorithm).hexdigest()
        if found != expected:
            raise InputError(
                f"{archive.file}, fetched from {archive.origin}, isn't the published file: its {algorithm} is "
                f"{found}, not {expected}. It was removed; try again, or fetch it from elsewhere."
            )
        return
    try:
        with zipfile.ZipFile(path) as content:
            damaged = content.testzip()
    except zipfile.BadZipFile as error:
        damaged = str(error)
    if damaged is not None:
        raise InputError(
            f"{archive.file}, fetched from {archive.origin}, is damaged ({damaged}). It was removed; try again."
        )
