"""Pushing a model folder to the Hub: all of it in one commit, or nothing."""

import json
import logging
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    ModelInfo,
    get_session,
    get_token,
    hf_hub_url,
    hf_raise_for_status,
)
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # loaded when it is first used

from glove_bilstm.hub.calls import call_hub
from glove_bilstm.hub.files import CARD, CONFIG
from glove_bilstm.hub.hashes import is_same
from glove_bilstm.hub.plan import OTHERS, content_of, digest_of, name_after_repository, plan_push, warn_of
from glove_bilstm.hub.refusals import LOG_IN
from glove_bilstm.modeling.configuration_glove_bilstm import GloveBiLSTMConfig
from glove_bilstm.vectors.errors import InputError

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

OTHER_MODELS = re.compile(
    r"(^|/)(adapter_config|model_index|modules)\.json$|"
    r"\.(safetensors|bin|pt|pth|gguf|onnx|pkl|pickle|skops|joblib|keras|h5|msgpack|ckpt|tflite|pb)$"
)
"""What only a repository of another model holds, where there is no `config.json`."""
PICKLES = re.compile(r"\.(bin|pt|pth|pkl|pickle|joblib|ckpt)$")
NOTHING_IGNORED = "# A model is pushed whole.\n"
"""Instead of a repository's own `.gitignore`, by which the Hub would leave files out."""


@dataclass
class Destination:
    """Where on the Hub a model goes.

    Attributes:
        repo_id: The repository of models: "user/name", or a name in the user's own namespace, which is put before it
            as soon as the Hub was asked.
        private: Make a new repository private, and refuse one that is there and public. None: as the account does by
            default.
        revision: The branch; made from main if it isn't there. None: main.
        create_pr: Open a pull request rather than commit.
        token: None: the one that the user logged in with, or `HF_TOKEN`.
        made: What was made there and is still without the model.
    """

    repo_id: str
    private: bool | None = None
    revision: str | None = None
    create_pr: bool = False
    token: str | None = None
    made: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """See that a branch that is named has a name; a token that was read from a file may end with its line."""
        self.token = (self.token or "").strip() or None
        if self.revision is not None and not self.revision.strip():
            raise InputError("The revision is empty. Name a branch, or leave the option out: that is main.")

    def prepare(self, card: str | None = None, source: str = "") -> ModelInfo:
        """Make the repository and the branch if they aren't there, and look at what they hold.

        Args:
            card: The model's, or only its head; the Hub may not take what it says. None: there is none.
            source: Where that comes from, for the message.

        Raises:
            InputError: The Hub refused, or the repository holds a model of another type, or is public though a
                private one was asked for.
            ConnectionError: The Hub couldn't be reached, or failed again and again.
        """
        api = HfApi(token=self.token)
        token = self.token or get_token()
        if token is None:
            raise InputError(f"Nobody is logged in to the Hub. {LOG_IN}")
        if not (token.isascii() and token.isprintable()):  # the client would show it
            raise InputError(f"The token for the Hub holds characters that no token has. {LOG_IN}")
        if card is not None:
            self._check_metadata(card, source)
        if "/" not in self.repo_id:
            self.repo_id = f"{self._ask(lambda: str(api.whoami()['name']))}/{self.repo_id}"

        def look(revision: str | None = None) -> ModelInfo | None:
            try:
                return api.model_info(self.repo_id, revision=revision)
            except (RepositoryNotFoundError, RevisionNotFoundError):
                return None

        main = self._ask(look)
        found = main if self.revision is None else self._ask(lambda: look(self.revision))
        if self.create_pr and self.revision is not None and found is None:
            raise InputError(
                f"{self.repo_id} has no such --revision as {self.revision}, and a pull request needs one that is "
                "there. Look at the spelling."
            )
        page = f"{api.endpoint}/{self.repo_id}"
        if main is None:

            def create() -> bool:
                try:
                    api.create_repo(self.repo_id, private=self.private)
                except HfHubHTTPError as error:
                    if error.response.status_code == 409:  # it came into being since it was looked for
                        return False
                    raise
                return True

            if self._ask(create, lambda: look() is not None or None, page):
                self.made.append(f"the repository {self.repo_id}")
            main = self._ask(lambda: api.model_info(self.repo_id))
        self.repo_id = repo_id = main.id  # as the Hub spells it
        if self.private and not main.private:
            raise InputError(
                f"You asked for a private repository, and {repo_id} is there and public, so nothing was pushed. Make "
                f"it private in its settings ({page}/settings), choose another one, or don't ask for a private one."
            )
        self._refuse_other_models(found or main)
        if found is None and self.revision is not None:
            branch = self.revision

            def create_branch() -> bool:
                api.create_branch(repo_id, branch=branch, exist_ok=True)
                return True

            self._ask(create_branch, lambda: look(branch) is not None or None, page)
            self.made.append(f"the branch {branch} of {repo_id}")
        return found or main

    def _refuse_other_models(self, found: ModelInfo) -> None:
        """See that a push would destroy no model of another type."""
        there = {sibling.rfilename for sibling in found.siblings or ()}
        if CONFIG not in there:
            if others := sorted(name for name in there if OTHER_MODELS.search(name)):
                raise InputError(
                    f"{self.repo_id} already holds {others[0]}, of a model of another kind, which a push would mix "
                    "with this one. Choose another --repo_id."
                )
            return

        def download() -> bytes:
            address = hf_hub_url(self.repo_id, CONFIG, revision=found.sha)
            answer = get_session().get(address, headers=build_hf_headers(token=self.token))
            hf_raise_for_status(answer)
            return answer.content

        content = self._ask(download)
        try:
            config = json.loads(content)
        except ValueError as error:
            raise InputError(
                f"{CONFIG} of {self.repo_id} can't be read ({error}), so what model is there isn't known, and a push "
                "would replace it. Choose another --repo_id, or remove that file there."
            ) from error
        kind = config.get("model_type") if isinstance(config, dict) else None
        if kind != GloveBiLSTMConfig.model_type:
            raise InputError(
                f"{self.repo_id} already holds a model of the type {kind!r}, which a push would destroy. Choose "
                "another --repo_id."
            )

    def _check_metadata(self, card: str, source: str) -> None:
        """See that the Hub takes what a card says at its head, before anything is made or sent."""
        address = f"{HfApi().endpoint}/api/validate-yaml"

        def validate() -> list[str]:
            wanted = {"content": card, "repoType": "model"}
            answer = get_session().post(address, json=wanted, headers=build_hf_headers(token=self.token))
            found = answer.json() if answer.status_code in (200, 400) else {}  # of others it may be a page
            if not found.get("errors"):
                hf_raise_for_status(answer)
            return ["; ".join(one["message"].rstrip(".") for one in found[of]) for of in ("errors", "warnings")]

        errors, doubts = self._ask(validate)
        if errors:
            raise InputError(f"The Hub doesn't take the card's metadata: {errors}. Correct {source} and try again.")
        if doubts:
            logger.warning("The Hub says of the card's metadata, from %s: %s.", source, doubts)

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
        card = plan.files.get(CARD)
        text = None if card is None else name_after_repository(card.read_text(encoding="utf-8"), self.repo_id)
        found = self.prepare(text, str(card))
        api = HfApi(token=self.token)

        def list_files() -> dict[str, RepoFile]:
            tree = api.list_repo_tree(self.repo_id, recursive=True, revision=found.sha)
            return {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}

        there = self._ask(list_files)
        contents = {name: content_of(file, self.repo_id) for name, file in plan.files.items()}
        additions = [
            CommitOperationAdd(name, content)
            for name, content in contents.items()
            if name not in there or not is_same(content, there[name])
        ]
        removed = sorted(there.keys() & set(OTHERS) - plan.files.keys())
        warn_of(plan, folder)
        self._warn(removed, sorted(filter(PICKLES.search, there)))
        if not additions and not removed:
            if self.made:
                logger.warning("%s; it holds just this model already.", self._what_was_made())
            self.made.clear()
            return None
        # Whether a commit is ours can be told even if the connection broke before the answer came.
        description = f"SHA-256 of all files: {digest_of(plan)}"
        where: dict[str, Any] = {"revision": self.revision, "create_pr": self.create_pr}
        self._ask(lambda: api.preupload_lfs_files(self.repo_id, additions, gitignore_content=NOTHING_IGNORED, **where))
        if ignored := [addition.path_in_repo for addition in additions if addition._should_ignore]:
            raise InputError(
                f"By its .gitignore {self.repo_id} would leave out {', '.join(ignored)}, so nothing was pushed. Take "
                f"that out of .gitignore there and push again. {self._what_was_made()}".rstrip(". ")
                + "."
            )

        def requests() -> set[str]:
            refs = api.list_repo_refs(self.repo_id, include_pull_requests=True)
            return {request.ref for request in refs.pull_requests or ()}

        # Earlier ones stay on the list when they were closed, and may hold the same.
        earlier = self._ask(requests) if self.create_pr else set()

        def commit() -> str:
            with warnings.catch_warnings():  # of the card's metadata, told above
                warnings.filterwarnings("ignore", "Warnings while validating metadata")
                made = api.create_commit(
                    self.repo_id,
                    [*additions, *map(CommitOperationDelete, removed)],
                    commit_message=commit_message or "Upload model",
                    commit_description=description,
                    parent_commit=found.sha,
                    **where,
                )
            return str(made.pr_url or made.commit_url)

        def arrived() -> str | None:
            for revision in requests() - earlier if self.create_pr else [self.revision]:
                commits = api.list_repo_commits(self.repo_id, revision=revision)
                for made in takewhile(lambda commit: commit.commit_id != found.sha, commits):
                    if made.message == description:
                        number = str(revision).rpartition("/")[2]
                        page = f"discussions/{number}" if self.create_pr else f"commit/{made.commit_id}"
                        return f"{api.endpoint}/{self.repo_id}/{page}"
            return None

        history = "discussions" if self.create_pr else f"commits/{self.revision or 'main'}"
        address = self._ask(commit, arrived, f"{api.endpoint}/{self.repo_id}/{history}")
        self.made.clear()
        return address

    def _ask(
        self, call: Callable[[], Result], arrived: Callable[[], Result | None] | None = None, look_at: str = ""
    ) -> Result:
        return call_hub(call, self.repo_id, arrived, look_at, self._what_was_made())

    def _what_was_made(self) -> str:
        """As the beginning of a sentence; empty where nothing was."""
        made = " and ".join(self.made)
        return made and f"{made[0].upper()}{made[1:]} {'was' if len(self.made) == 1 else 'were'} made"

    def _warn(self, removed: list[str], pickles: list[str]) -> None:
        """Tell what a push removes or leaves behind."""
        if removed:
            logger.warning(
                "%s has %s, which this push doesn't bring: they may tell of another model, and are removed with this "
                "commit. Earlier ones keep them.",
                self.repo_id,
                ", ".join(removed),
            )
        if pickles:
            logger.warning(
                "%s holds %s from elsewhere, which this push leaves there. Such files may be pickles, which run code "
                "where they are loaded, and arguments of training may hold a token. Remove what you don't need with "
                "`hf repos delete-files %s %s%s`. Earlier commits keep it: revoke a token that was in it.",
                self.repo_id,
                ", ".join(pickles),
                self.repo_id,
                " ".join(pickles),
                f" --revision {self.revision}" if self.revision else "",
            )
