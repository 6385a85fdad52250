"""Fetching a published archive: from the Hub with its own client, otherwise over https."""

import errno
import hashlib
import logging
import zipfile
from pathlib import Path

from filelock import FileLock
from huggingface_hub import constants

from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.named_sets import GLOVE_COMMIT, GLOVE_REPO, Archive

logger = logging.getLogger(__name__)


class _WrongFile(ValueError):
    """What came isn't what was published."""


def home() -> Path:
    """The folder, in ``HF_HOME``, of what this package keeps on disk. Deleting it loses nothing but time."""
    return Path(constants.HF_HOME) / "glove_bilstm"


def fetch(name: str, archive: Archive) -> Path:
    """The archive on disk; it is fetched and verified the first time.

    A file that was put into ``home() / "vectors"`` by hand is used as it is. The Hub's archives lie in the Hub's
    cache, with all its environment variables (``HF_HOME``, ``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, proxies, …) in force.

    Args:
        name: The set's name, for messages.
        archive: What to fetch.

    Raises:
        InputError: It can't be fetched, or isn't the file that was published; the message says where to put it
            by hand.
    """
    target = home() / "vectors" / archive.file
    if target.is_file():
        return target
    partial = target.with_name(f"{target.name}.incomplete")
    try:
        return _from_hub(archive) if archive.url is None else _from_url(archive, archive.url, target, partial)
    except Exception as error:  # of the network, the server, the disk or the file: there are dozens of kinds
        again = "Try again (what came so far is kept)" if partial.is_file() else "Try again"
        if constants.is_offline_mode():
            again = "Unset it"
        raise InputError(
            f"The vectors {name} ({archive.megabytes:,} MB, licence: {archive.licence}) can't be fetched from "
            f"{_origin(archive)}: {_describe(error)}. {again}, or get {archive.file} elsewhere and put it at "
            f"{target}, or give its path instead of the name."
        ) from error


def _origin(archive: Archive) -> str:
    return archive.url or f"{constants.ENDPOINT}/{GLOVE_REPO}"


def _from_hub(archive: Archive) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        # The commit is pinned, so what is there can't be out of date, and the Hub's client put it there whole.
        return Path(hf_hub_download(GLOVE_REPO, archive.file, revision=GLOVE_COMMIT, local_files_only=True))
    except LocalEntryNotFoundError:
        if constants.is_offline_mode():
            raise
        _announce(archive)
    path = Path(hf_hub_download(GLOVE_REPO, archive.file, revision=GLOVE_COMMIT))
    blob = path.resolve()
    try:
        verify(blob, archive)
    except _WrongFile:
        path.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
        raise
    return path


def _from_url(archive: Archive, url: str, target: Path, partial: Path) -> Path:
    if constants.is_offline_mode():
        raise ConnectionError
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if target.is_file():  # by another process, meanwhile
            return target
        _announce(archive)
        try:
            _receive(url, partial, archive)
            verify(partial, archive)
        except _WrongFile:
            partial.unlink()
            raise
        finally:
            if partial.is_file() and partial.stat().st_size == 0:
                partial.unlink()
        partial.replace(target)
    return target


def _receive(url: str, partial: Path, archive: Archive) -> None:
    """Fetch what isn't in `partial` yet."""
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get

    with partial.open("ab") as file:
        if file.tell() == archive.size:
            return
        try:
            # Whether everything came, the server's own size tells; whether it is right, `verify`.
            http_get(url, file, resume_size=file.tell(), displayed_filename=archive.file)
        except HfHubHTTPError as error:
            if error.response.status_code != 416:
                raise
            if error.response.headers.get("Content-Range") == f"bytes */{file.tell()}":
                return  # all of it is here
            # The server's file ends before the part that is here does, so this is no part of it.
            file.seek(0)
            file.truncate()
            http_get(url, file, displayed_filename=archive.file)


def _announce(archive: Archive) -> None:
    logger.info(
        f"Fetching {archive.file} ({archive.megabytes:,} MB, licence: {archive.licence}) from {_origin(archive)}"
    )


def _describe(error: BaseException) -> str:
    """What went wrong, in a few words, without the advice that the Hub's client puts around it."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if constants.is_offline_mode():
        return "it isn't on this machine yet, and HF_HUB_OFFLINE forbids to fetch it"
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
        return _describe(error.__cause__)
    if isinstance(error, HfHubHTTPError):
        return f"the server says {error.response.status_code} {error.response.reason_phrase}"
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__


def verify(path: Path, archive: Archive) -> None:
    """Check a fetched file against its published size and checksum, or where there is none a zip archive's own.

    Raises:
        _WrongFile: It is another file than the one published.
    """
    logger.info(f"Checking {archive.file}")
    problem = None
    size = path.stat().st_size
    if archive.size not in (None, size):
        problem = f"has {size:,} bytes, not {archive.size:,}"
    elif archive.checksum is not None:
        algorithm, expected = archive.checksum.split(":")
        with path.open("rb") as file:
            # Said to be for security, MD5 is refused on a machine in FIPS mode.
            found = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
        if found != expected:
            problem = f"has the {algorithm} {found}, not {expected}"
    else:
        try:
            with zipfile.ZipFile(path) as content:
                damaged = content.testzip()
            problem = damaged and f"is damaged: the checksum of its {damaged} is wrong"
        except Exception as error:  # damage shows in many ways, as a name that isn't UTF-8 or a place before the start
            if isinstance(error, MemoryError) or getattr(error, "errno", None) not in (None, errno.EINVAL):
                raise  # it is the machine's
            problem = f"is damaged: {error}"
    if problem is not None:
        raise _WrongFile(f"what came {problem}, so it isn't the published file and was removed")
