"""Calls of the Hub, which fails now and then."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx2
from huggingface_hub import constants, get_session, hf_raise_for_status
from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled

from glove_bilstm.hub.refusals import LOG_IN, Unreachable, may_pass, read_failure
from glove_bilstm.vectors.errors import InputError

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

WAITS, LONGEST_WAIT = (1, 2, 4, 8), 300
"""Seconds between one try and the next."""
SILENCE = httpx2.Timeout(120, connect=20)
"""Seconds without a byte, however long a file takes to go up; a commit may take the Hub a minute."""
PASSING = (
    httpx2.TimeoutException,
    httpx2.NetworkError,
    httpx2.RemoteProtocolError,
    httpx2.ProxyError,
    httpx2.DecodingError,
)
"""What may be another outcome a little later; the client's other errors tell of a request that it can't make."""
_CLIENT = threading.Lock()


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
        asked: list[str] = []
        try:
            with _plain_client(asked):
                return call()
        except (InputError, HFValidationError, OfflineModeIsEnabled):
            raise
        except LocalTokenNotFoundError as error:
            raise InputError(f"Nobody is logged in to the Hub. {LOG_IN}") from error
        except Exception as error:
            failure = read_failure(error, repo_id, asked[-1] if asked else "a request")
            if failure is None:
                if isinstance(error.__cause__, OSError):  # a file that can't be read, which the client hides
                    raise error.__cause__ from None
                raise
            if not failure.passes:
                # What is in the way may be an earlier try, which arrived later than it was looked for.
                if why and (result := look()) is not None:
                    return result
                told = f" {made}, but this model isn't there." if made else ""
                raise InputError(f"{failure.told}{told}") from error
            why, last = failure.told, error
        if wait is not None:
            wait = min(max(wait, failure.wait), LONGEST_WAIT)
            logger.warning(f"{why}. Trying again in {wait} s.")
            time.sleep(wait)
        if (result := look()) is not None:
            return result
    state = f"{made}, but this model isn't there" if made else f"{repo_id} is as it was"
    raise ConnectionError(f"{why}, {len(WAITS) + 1} times. {state}; push again later.") from last


@contextmanager
def _plain_client(asked: list[str]) -> Iterator[None]:
    """Let the client wait for no answer forever, try each request once, and upload over HTTP alone.

    It tries some requests six times by itself, which would multiply with our tries. Where the storage that its other
    way of uploading (Xet) needs can't be reached, that hangs, and its refusals have no status. Other threads that ask
    the Hub meanwhile share the client, so that the same holds for them.

    Args:
        asked: Takes each request, "METHOD path".
    """
    with _CLIENT:  # it is everybody's: one changes it at a time, and leaves it as it was
        client = get_session()
        send, without_xet = client.send, constants.HF_HUB_DISABLE_XET
        own = {"send": send} if "send" in vars(client) else {}

        def send_once(request: httpx2.Request, **options: Any) -> httpx2.Response:
            asked.append(f"{request.method} {request.url.path}")
            request.extensions["timeout"] = SILENCE.as_dict()  # some calls ask for none, whatever the client's own is
            try:
                answer = send(request, **options)
            except PASSING as error:
                raise Unreachable(str(error) or type(error).__name__) from error
            # Raised as what the client doesn't try again.
            if may_pass(answer.status_code):
                answer.read()
                hf_raise_for_status(answer)
            return answer

        try:
            client.send = send_once  # type: ignore[method-assign]
            constants.HF_HUB_DISABLE_XET = True
            yield
        finally:
            vars(client).pop("send", None)
            vars(client).update(own)
            constants.HF_HUB_DISABLE_XET = without_xet
