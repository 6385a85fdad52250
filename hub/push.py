"""Pushing a model folder to the Hub: all of it in one commit, or nothing."""

import hashlib
import json
import logging
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelInfo, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError, safe_open

from glove_bilstm.hub.card import MEASURED_ON, PICTURES, hash_of, name_after_repository
from glove_bilstm.modeling.configuration_glove_bilstm import GloveBiLSTMConfig
from glove_bilstm.vectors.errors import InputError

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
AUTO_CLASSES = ("AutoConfig", "AutoModel", "AutoModelForSequenceClassification")
ONNX = "onnx"
"""The folder in a model's own that `glove-bilstm export` may write."""
OTHERS = (
    *("tokenizer.json", "tokenizer_config.json", CARD, "all_results.json", "coverage.json", "drift.json"),
    "handler.py",
    *PICTURES,
    *(
        f"{ONNX}/{name}"
        for name in ("export.json", "model.onnx", "config.json", "tokenizer.json", "onnx_classifier.py")
    ),
)
"""What else is pushed, besides the code that the configuration names."""
OTHER_MODELS = re.compile(r"(^|/)(adapter_config|model_index|modules)\.json$|\.(safetensors|bin|pt|pth|gguf|onnx)$")
"""What only a repository of another model holds, where there is no `config.json`."""
WAITS, LONGEST_WAIT = (1, 2, 4, 8), 300
"""Seconds between one try and the next."""
RETRIED = (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError)
BUSY = (408, 429, 500, 502, 503, 504)
LOG_IN = (
    "Log in with `hf auth login`, or set HF_TOKEN, to a token that may write; "
    "https://huggingface.co/settings/tokens makes one."
)
SECRETS = re.compile(r"\b(?:hf_\w{30,}|gh[pousr]_\w{30,}|AKIA[0-9A-Z]{16}|sk-[\w-]{20,})")
LOCAL_PATHS = re.compile(
    r"(?<![\w.:/])(?:/(?:home|Users|root|tmp|var|mnt|media|data|scratch|srv|work|workspace|Volumes)/|~/|"
    r"[A-Za-z]:[\\/]{1,2}Users[\\/]{1,2})\w"
)


@dataclass(frozen=True)
class Plan:
    """What a push sends.

    Attributes:
        files: Name in the repository → file.
        left_out: What else lies in the folder, such as checkpoints.
    """

    files: dict[str, Path]
    left_out: list[str]


def plan_push(folder: Path) -> Plan:
    """Choose the files of a model folder, and make sure that nothing else is pushed with them.

    Raises:
        InputError: The folder holds no whole model of this package, or a file has a secret or a path of this machine
            in it, or isn't what its name says.
    """
    missing = [name for name in (CONFIG, WEIGHTS, *OTHERS[:2]) if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder} is no model folder: it has no {' and no '.join(missing)}.")
    config = _read_config((folder / CONFIG).read_text(encoding="utf-8"), str(folder / CONFIG))
    if config.get("model_type") != GloveBiLSTMConfig.model_type:
        raise InputError(f"{folder / CONFIG} is a model of the type {config.get('model_type')!r}, not this package's.")
    auto_map = config.get("auto_map") or {}
    lacking = [name for name in AUTO_CLASSES if name not in auto_map]
    if lacking:
        raise InputError(
            f"{folder / CONFIG} names no code for {', '.join(lacking)}. Load the model and save it again: "
            "model.save_pretrained writes that."
        )
    code = sorted({f"{auto_map[name].partition('.')[0]}.py" for name in AUTO_CLASSES})
    if absent := [name for name in code if not (folder / name).is_file()]:
        raise InputError(f"{folder} lacks {', '.join(absent)}, which {CONFIG} names. Save the model again.")
    names = [CONFIG, WEIGHTS, *code, *(name for name in OTHERS if (folder / name).is_file())]
    files = {name: folder / name for name in sorted(names)}
    for file in files.values():
        _scan(file)
    if CARD in files:
        _check_card(files[CARD], folder / WEIGHTS)
    if report := files.get(f"{ONNX}/export.json"):
        _check_export(report, folder / WEIGHTS)
    sent = {name.partition("/")[0] for name in files}
    left_out = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir() if entry.name not in sent)
    return Plan(files, left_out)


def _check_card(card: Path, weights: Path) -> None:
    """See that the figures of a card are those of the weights beside it.

    Raises:
        InputError: They were measured on others.
    """
    measured = MEASURED_ON.search(card.read_text(encoding="utf-8"))
    if measured is not None and measured[1] != hash_of(weights):
        raise InputError(
            f"The figures in {card} are of other weights than {weights} holds. Evaluate these and write what is true "
            f"of them, without the line that begins with {measured[0].partition(':')[0]!r}; or remove the card."
        )


def _check_export(report: Path, weights: Path) -> None:
    """See that an export beside a model is still one of it.

    Raises:
        InputError: The weights are others.
    """
    if _read_config(report.read_text(encoding="utf-8"), str(report)).get("model_sha256") != hash_of(weights):
        raise InputError(
            f"{report.parent} was exported from another model than {weights}. Export it again, or remove the folder."
        )


@dataclass
class Destination:
    """Where on the Hub a model goes.

    Attributes:
        repo_id: The repository of models: "user/name", or a name in the user's own namespace, which is put before it
            as soon as the Hub was asked.
        private: Make a new repository private. None: as the account does by default.
        revision: The branch; made from main if it isn't there. None: main.
        create_pr: Open a pull request rather than commit.
        token: None: the one that the user logged in with, or `HF_TOKEN`.
    """

    repo_id: str
    private: bool | None = None
    revision: str | None = None
    create_pr: bool = False
    token: str | None = None

    def prepare(self) -> ModelInfo:
        """Make the repository and the branch if they aren't there, and look at what they hold.

        Raises:
            InputError: The Hub refused, or the repository holds a model of another type.
            ConnectionError: The Hub couldn't be reached, or failed again and again.
        """
        api = HfApi(token=self.token)
        if self.token is None and get_token() is None:
            raise InputError(f"Nobody is logged in to the Hub. {LOG_IN}")
        made = _retry(lambda: api.create_repo(self.repo_id, private=self.private, exist_ok=True), self.repo_id)
        self.repo_id = repo_id = made.repo_id
        branch = None if self.create_pr else self.revision
        new = branch is not None and not _retry(lambda: api.revision_exists(repo_id, branch), repo_id)
        found = _retry(lambda: api.model_info(repo_id, revision=None if new else self.revision), repo_id)
        there = {sibling.rfilename for sibling in found.siblings or ()}
        if CONFIG not in there and (others := sorted(name for name in there if OTHER_MODELS.search(name))):
            raise InputError(
                f"{repo_id} already holds {others[0]}, of a model of another kind, which a push would mix with this "
                "one. Choose another --repo_id."
            )
        if CONFIG in there:
            with tempfile.TemporaryDirectory() as folder:
                file = _retry(
                    lambda: api.hf_hub_download(repo_id, CONFIG, revision=found.sha, local_dir=folder), repo_id
                )
                kind = _read_config(Path(file).read_text(encoding="utf-8"), f"{CONFIG} of {repo_id}").get("model_type")
            if kind != GloveBiLSTMConfig.model_type:
                raise InputError(
                    f"{repo_id} already holds a model of the type {kind!r}, which a push would destroy. "
                    "Choose another --repo_id."
                )
        if branch is not None and new:
            _retry(lambda: api.create_branch(repo_id, branch=branch, exist_ok=True), repo_id)
        return found

    def push(self, folder: Path, commit_message: str | None = None) -> str | None:
        """Push a model folder.

        All files go up in one commit, on top of the one that was seen at first: whoever loads the model sees the old
        or the new one, never a mixture; and who pushed in between isn't overwritten. Of the files that a model may
        have those that this one lacks are removed, for they tell of another. What fails for a moment is tried again.

        Args:
            folder: What `glove-bilstm train` or `save_pretrained` wrote; see `plan_push`.
            commit_message: None: "Upload model".

        Returns:
            The address of the commit or the pull request. None: nothing differs from what is there.

        Raises:
            InputError: The folder can't be pushed, or the Hub refused; the message says what to do.
            ConnectionError: The Hub couldn't be reached, or failed again and again.
        """
        plan = plan_push(folder)
        found = self.prepare()
        api = HfApi(token=self.token)
        # Whether a commit is ours can be told even if the connection broke before the answer came.
        description = f"SHA-256 of all files: {_digest(plan)}"
        there = {sibling.rfilename for sibling in found.siblings or ()}
        additions = [CommitOperationAdd(name, _content(file, self.repo_id)) for name, file in plan.files.items()]
        removed = sorted(there.intersection(OTHERS).difference(plan.files))
        if removed:
            logger.warning(
                "%s has %s, which %s lacks: they tell of another model, and are removed with this commit. Earlier "
                "ones keep them.",
                self.repo_id,
                ", ".join(removed),
                folder,
            )
        if CARD not in plan.files:
            logger.warning("%s has no card (%s), so its page will say nothing of it.", folder, CARD)
        where: dict[str, Any] = {"revision": self.revision, "create_pr": self.create_pr}
        _retry(lambda: api.preupload_lfs_files(self.repo_id, additions, **where), self.repo_id)

        def commit() -> str | None:
            made = api.create_commit(
                self.repo_id,
                [*additions, *map(CommitOperationDelete, removed)],
                commit_message=commit_message or "Upload model",
                commit_description=description,
                parent_commit=found.sha,
                **where,
            )
            # The client makes no empty commit: it gives the one that is there.
            return None if made.oid == found.sha else str(made.pr_url or made.commit_url)

        def made_already() -> str | None:
            revisions = [self.revision]
            if self.create_pr:  # a second one would be another
                refs = api.list_repo_refs(self.repo_id, include_pull_requests=True)
                revisions = [request.ref for request in refs.pull_requests or ()]
            for revision in revisions:
                newest = api.list_repo_commits(self.repo_id, revision=revision)[0]
                if newest.commit_id != found.sha and newest.message == description:
                    if self.create_pr:
                        return f"{api.endpoint}/{self.repo_id}/discussions/{str(revision).rpartition('/')[2]}"
                    return f"{api.endpoint}/{self.repo_id}/commit/{newest.commit_id}"
            return None

        return _retry(commit, self.repo_id, made_already)


def _content(file: Path, repo_id: str) -> Path | bytes:
    """What is pushed of a file: itself, but for the card, which names the repository."""
    return name_after_repository(file.read_text(encoding="utf-8"), repo_id).encode() if file.name == CARD else file


def _retry(call: Callable[[], Result], repo_id: str, done: Callable[[], Result | None] | None = None) -> Result:
    """Call the Hub; again, after a while, where it failed for a moment.

    Args:
        call: What to do.
        repo_id: For the messages.
        done: Tells whether the last try succeeded after all, though no answer came.

    Raises:
        InputError: The Hub refused.
        ConnectionError: It failed every time.
    """
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
            elif cause.response.status_code in BUSY:
                why = f"The Hub answered {cause.response.status_code}"
                asked = cause.response.headers.get("Retry-After", "0")
            else:
                raise InputError(_sentence(cause, repo_id)) from error
        except json.JSONDecodeError:  # the client expects JSON, whatever the status
            why = "The Hub's answer couldn't be read"
        except LocalTokenNotFoundError as error:
            raise InputError(f"Nobody is logged in to the Hub. {LOG_IN}") from error
        if wait is not None:
            if asked.isdecimal():  # it may be a date
                wait = min(max(wait, int(asked)), LONGEST_WAIT)
            logger.warning(f"{why}. Trying again in {wait} s.")
            time.sleep(wait)
        if done is not None and (result := _retry(done, repo_id)) is not None:
            return result
    raise ConnectionError(f"{why}, {len(WAITS) + 1} times. {repo_id} is as it was; push again later.")


def _sentence(error: HfHubHTTPError, repo_id: str) -> str:
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


def _scan(file: Path) -> None:
    """Look for what must not be published.

    Raises:
        InputError: Something was found, or the file isn't what its name says.
    """
    if file.name in (*PICTURES, "model.onnx"):
        return
    if file.name == WEIGHTS:
        try:
            with safe_open(file, framework="np") as weights:
                text = json.dumps(weights.metadata())
        except SafetensorError as error:
            raise InputError(f"{file} is not in the safetensors format ({error}).") from error
    else:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{file} isn't UTF-8 text ({error}). Save it as UTF-8.") from error
        if file.suffix == ".json":
            _read_json(text, str(file))
    # The words of a vocabulary may look like paths.
    words = file.name in ("tokenizer.json", "coverage.json", "drift.json")
    patterns = [("a secret", SECRETS), *([] if words else [("a path of this machine", LOCAL_PATHS)])]
    own = [("a path of this machine", str(Path.home())), ("your token", get_token())]
    for number, line in enumerate(text.splitlines(), 1):
        found = [what for what, pattern in patterns if pattern.search(line)]
        found += [what for what, exact in own if exact and len(exact) > 5 and exact in line]
        if found:
            raise InputError(f"{file}, line {number}, holds {found[0]}, so nothing was pushed. Take it out first.")


def _digest(plan: Plan) -> str:
    """One hash of all files, names included."""
    whole = hashlib.sha256()
    for name, file in plan.files.items():
        whole.update(f"{name} {hash_of(file)}\n".encode())
    return whole.hexdigest()


def _read_config(text: str, where: str) -> dict[str, Any]:
    config = _read_json(text, where)
    return config if isinstance(config, dict) else {}


def _read_json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{where} is not JSON: {error}.") from error
