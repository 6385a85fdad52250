"""What the Hub's refusals mean, which of its failures pass, and what to do about the others."""

import re
from dataclasses import dataclass

import httpx2
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

BUSY = (408, 429)
"""Statuses that pass, as those from 500 do."""
LOG_IN = (
    "Log in with `hf auth login`, or set HF_TOKEN, to a token that may write; "
    "https://huggingface.co/settings/tokens makes one."
)
MOST_WORDS = 500
"""Characters of what the Hub says that are shown."""
RIGHTS = re.compile(r"\brights\b|permission|write token|authorization|create_pr", re.IGNORECASE)
"""What the Hub says where another token would do; it answers 403 for much else, such as a full quota."""
NEXT_WINDOW = re.compile(r";\s*r=0;\s*t=(\d+)")
"""In a header of many answers: no requests are left, for so many seconds."""
STALE = re.compile(r"expired|<Code>RequestTimeout<")
"""What the storage of large files says of an address that was good for a while, and of an upload that stood still."""
UPLOADING = re.compile(r"uploading '(.+)'")
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, UnboundLocalError)
"""What the client raises where an answer isn't as it expects."""


def may_pass(status: int) -> bool:
    """Whether an answer of this status may be another one a little later."""
    return status >= 500 or status in BUSY


class Unreachable(ConnectionError):
    """No answer came to a request, or half of one."""


@dataclass(frozen=True)
class Failure:
    """How a call of the Hub failed.

    Attributes:
        told: Of what may pass, what happened; of what won't, that and what to do, in sentences.
        passes: Whether it may.
        wait: The seconds that the Hub asks to wait for it.
    """

    told: str
    passes: bool = False
    wait: int = 0


def read_failure(error: Exception, repo_id: str, asked: str) -> Failure | None:
    """What a failure means.

    Args:
        error: What a call of the client raised.
        repo_id: For the message.
        asked: The last request, "METHOD path".

    Returns:
        None: the Hub has no part in it.
    """
    file = ""
    # Of a large file that goes up the client says only that it failed.
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        found = UPLOADING.search(str(error))
        file, error = str(found[1]) if found else "", error.__cause__
    if isinstance(error, Unreachable):
        return Failure(f"The connection to the Hub failed ({error})", passes=True)
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL | httpx2.TooManyRedirects):
        told = str(error).rstrip(".")
        return Failure(f"The Hub can't be asked at {constants.ENDPOINT} ({told}). Look at HF_ENDPOINT.")
    if isinstance(error, HfHubHTTPError):
        return _read_answer(error, repo_id, file)
    if isinstance(error, ValueError) and "LFS batch API returned errors" in str(error):
        words = "; ".join(dict.fromkeys(re.findall(r"`(.+?)`?$", str(error), re.MULTILINE)))
        return Failure(f"The Hub refused a large file: {words.rstrip('.')}. When that is mended, push again.")
    if isinstance(error, UNREADABLE):
        return Failure(f"The Hub's answer to {asked} couldn't be read", passes=True)
    return None


def _read_answer(error: HfHubHTTPError, repo_id: str, file: str) -> Failure:
    answer, words = error.response, _words(error)
    status = answer.status_code
    # The next try asks for another address.
    stale = status in (400, 403) and answer.request.method == "PUT" and STALE.search(error.server_message or "")
    if may_pass(status) or stale:
        asked = answer.headers.get("Retry-After", "")  # it may be a date
        limit = NEXT_WINDOW.search(answer.headers.get("RateLimit", ""))
        wait = int(asked) if asked.isdecimal() else int(limit[1]) if limit else 0
        return Failure(f"The Hub answered {status}{words and f' ({words})'}", passes=True, wait=wait)
    if status == 401:
        return Failure(f"The Hub doesn't know your token. {LOG_IN}")
    if status == 403 and RIGHTS.search(words):
        return Failure(
            f"Your token has no permission to write to {repo_id}: {words}. Use one that may write, or push to your "
            "own namespace."
        )
    if status == 404 and isinstance(error, RepositoryNotFoundError):
        return Failure(
            f"The Hub finds no {repo_id} that your token may see. Look at the spelling, and at who owns it."
        )
    if status == 412:
        return Failure(
            f"Somebody else pushed to {repo_id} in the meantime, so nothing was pushed. Look at what is there now; to "
            "replace it, push again."
        )
    refused = f"The Hub refused {file}".rstrip()
    code = f"{status} {answer.reason_phrase}".rstrip()
    return Failure(f"{refused} ({code}){words and f': {words}'}. When that is mended, push again.")


def _words(error: HfHubHTTPError) -> str:
    """What the Hub itself said, without the full stop; of the pages that proxies answer with, nothing."""
    said = (error.server_message or "").strip()
    if said.startswith("<"):  # XML, where large files go
        parts = {name: text for name, text in re.findall(r"<(Message|Code)>([^<]+)<", said)}
        said = parts.get("Message", parts.get("Code", ""))
    return "; ".join(line.strip().rstrip(".") for line in said.splitlines() if line.strip())[:MOST_WORDS]
