"""Calls of the Hub, which fails now and then; and what its refusals mean."""

import json
import logging
import time
from collections.abc import Callable
from typing import TypeVar

import httpx2
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    RevisionNotFoundError,
)

from glove_bilstm.vectors.errors import InputError

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

WAITS, LONGEST_WAIT = (1, 2, 4, 8), 300
"""Seconds between one try and the next."""
RETRIED = (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError)
BUSY = (408, 429)
"""Statuses that pass, as those from 500 do."""
LOG_IN = (
    "Log in with `hf auth login`, or set HF_TOKEN, to a token that may write; "
    "https://huggingface.co/settings/tokens makes one."
)


def call_hub(
    call: Callable[[], Result],
    repo_id: str,
    arrived: Callable[[], Result | None] | None = None,
    look_at: str = "",
    made: str = "",
) -> Result:
    """Call the Hub; again, after a while, where it failed for a moment.

    Args:
        call: What to do.
        repo_id: For the messages.
        arrived: Of a call that changes something: looks whether a try succeeded after all, though no answer came.
        look_at: Where a user sees that.
        made: What was made on the way here, as the beginning of a sentence.

    Raises:
        InputError: The Hub refused.
        ConnectionError: It failed every time.
    """
    why = ""

    def look() -> Result | None:
        try:
            return None if arrived is None else call_hub(arrived, repo_id)
        except (InputError, ConnectionError) as error:
            raise ConnectionError(
                f"{why}, and asking whether it had arrived failed too, so that isn't known. Look at {look_at}; if "
                f"nothing came, push again.{made and f' {made} before that.'}"
            ) from error

    for wait in (*WAITS, None):
        asked = "0"
        try:
            return call()
        except (*RETRIED, HfHubHTTPError, RuntimeError, LocalEntryNotFoundError) as error:
            # Of a large file that goes up, and of one that comes down, the client says only that it failed.
            cause = error.__cause__ if isinstance(error, RuntimeError | LocalEntryNotFoundError) else error
            if isinstance(cause, RETRIED):
                why = f"The connection to the Hub failed ({cause or type(cause).__name__})"
            elif not isinstance(cause, HfHubHTTPError):
                raise
            elif cause.response.status_code >= 500 or cause.response.status_code in BUSY:
                why = f"The Hub answered {cause.response.status_code}"
                asked = cause.response.headers.get("Retry-After", "0")
            else:
                # What is in the way may be an earlier try, which arrived later than it was looked for.
                if why and (result := look()) is not None:
                    return result
                told = f"{made}, but this model isn't there." if made else ""
                raise InputError(f"{explain(cause, repo_id)} {told}".rstrip()) from error
        except (json.JSONDecodeError, KeyError):  # the client expects JSON of a certain form, whatever the status
            why = "The Hub's answer couldn't be read"
        except LocalTokenNotFoundError as error:
            raise InputError(f"Nobody is logged in to the Hub. {LOG_IN}") from error
        if wait is not None:
            if asked.isdecimal():  # it may be a date
                wait = min(max(wait, int(asked)), LONGEST_WAIT)
            logger.warning(f"{why}. Trying again in {wait} s.")
            time.sleep(wait)
        if (result := look()) is not None:
            return result
    state = f"{made}, but this model isn't there" if made else f"{repo_id} is as it was"
    raise ConnectionError(f"{why}, {len(WAITS) + 1} times. {state}; push again later.")


def explain(error: HfHubHTTPError, repo_id: str) -> str:
    """What a refusal means, and what to do."""
    status = error.response.status_code
    told = error.server_message or str(error).strip().split("\n")[-1]
    if status == 401:
        return f"The Hub doesn't know your token. {LOG_IN}"
    if status == 403:
        return (
            f"Your token has no permission to write to {repo_id}: {told}. Use one that may write, or push to your own "
            "namespace."
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{repo_id} has no such --revision, and a pull request needs one that is there. Look at the spelling."
    if status == 404:
        return f"The Hub finds no {repo_id} that your token may see. Look at the spelling, and at who owns it."
    if status == 412:
        return (
            f"Somebody else pushed to {repo_id} in the meantime, so nothing was pushed. Look at what is there now; to "
            "replace it, push again."
        )
    return f"The Hub refused ({status}): {told}"
