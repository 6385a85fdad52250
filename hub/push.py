"""Pushing a model folder to the Hub: all of it in one commit, or nothing."""

import hashlib
import json
import logging
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelInfo, get_token
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from glove_bilstm.hub.calls import LOG_IN, call_hub
from glove_bilstm.hub.card import MEASURED_ON, PICTURES, name_after_repository
from glove_bilstm.hub.hashes import hash_of, is_export_of
from glove_bilstm.hub.scan import read_json, scan_file
from glove_bilstm.modeling.configuration_glove_bilstm import GloveBiLSTMConfig
from glove_bilstm.vectors.errors import InputError

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
AUTO_CLASSES = ("AutoConfig", "AutoModel", "AutoModelForSequenceClassification")
ONNX = "onnx"
"""The folder in a model's own that `glove-bilstm export` may write."""
MEASURED = ("all_results.json", "drift.json", *PICTURES)
"""What was measured on the weights, and tells of no others."""
OTHERS = (
    *(*TOKENIZER, CARD, "coverage.json", "handler.py"),
    *MEASURED,
    *(
        f"{ONNX}/{name}"
        for name in ("export.json", "model.onnx", "config.json", "tokenizer.json", "onnx_classifier.py")
    ),
)
"""What else is pushed, besides the code that the configuration names."""
OTHER_MODELS = re.compile(
    r"(^|/)(adapter_config|model_index|modules)\.json$|"
    r"\.(safetensors|bin|pt|pth|gguf|onnx|pkl|pickle|skops|joblib|keras|h5|msgpack|ckpt|tflite|pb)$"
)
"""What only a repository of another model holds, where there is no `config.json`."""
PICKLES = re.compile(r"\.(bin|pt|pth|pkl|pickle|joblib|ckpt)$")


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
    missing = [name for name in (CONFIG, WEIGHTS, *TOKENIZER) if not (folder / name).is_file()]
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
        scan_file(file, folder)
    if CARD not in files or not _vouches(files[CARD], folder / WEIGHTS):
        files = {name: file for name, file in files.items() if name not in MEASURED}
    report = files.get(f"{ONNX}/export.json")
    if report is not None and not is_export_of(report, folder / WEIGHTS):
        raise InputError(
            f"{report.parent} was exported from another model than {folder / WEIGHTS}. Export it again, or remove the "
            "folder."
        )
    sent = {name.partition("/")[0] for name in files}
    left_out = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir() if entry.name not in sent)
    return Plan(files, left_out)


def _vouches(card: Path, weights: Path) -> bool:
    """Whether a card tells that what was measured was measured on the weights beside it.

    Raises:
        InputError: It was measured on others.
    """
    measured = MEASURED_ON.search(card.read_text(encoding="utf-8"))
    if measured is not None and measured[1] != hash_of(weights):
        raise InputError(
            f"The figures in {card} are of other weights than {weights} holds. Evaluate these and write what is true "
            f"of them, without the line that begins with {measured[0].partition(':')[0]!r}; or remove the card. "
            f"Without that line {', '.join(MEASURED)} aren't pushed."
        )
    return measured is not None


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

    def prepare(self) -> ModelInfo:
        """Make the repository and the branch if they aren't there, and look at what they hold.

        Raises:
            InputError: The Hub refused, or the repository holds a model of another type, or is public though a
                private one was asked for.
            ConnectionError: The Hub couldn't be reached, or failed again and again.
        """
        api = HfApi(token=self.token)
        if self.token is None and get_token() is None:
            raise InputError(f"Nobody is logged in to the Hub. {LOG_IN}")
        if "/" not in self.repo_id:
            self.repo_id = f"{self._ask(api.whoami)['name']}/{self.repo_id}"

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
                f"You asked for a private repository, and {repo_id} is there and public, so nothing was sent. Make it "
                f"private in its settings ({page}/settings), choose another one, or don't ask for a private one."
            )
        self._refuse_other_models(api, found or main)
        if found is None and self.revision is not None:
            branch = self.revision

            def create_branch() -> bool:
                api.create_branch(repo_id, branch=branch, exist_ok=True)
                return True

            self._ask(create_branch, lambda: look(branch) is not None or None, page)
            self.made.append(f"the branch {branch} of {repo_id}")
        return found or main

    def _refuse_other_models(self, api: HfApi, found: ModelInfo) -> None:
        """See that a push would destroy no model of another type."""
        there = {sibling.rfilename for sibling in found.siblings or ()}
        if CONFIG not in there:
            if others := sorted(name for name in there if OTHER_MODELS.search(name)):
                raise InputError(
                    f"{self.repo_id} already holds {others[0]}, of a model of another kind, which a push would mix "
                    "with this one. Choose another --repo_id."
                )
            return
        with tempfile.TemporaryDirectory() as folder:
            file = self._ask(lambda: api.hf_hub_download(self.repo_id, CONFIG, revision=found.sha, local_dir=folder))
            text = Path(file).read_text(encoding="utf-8")
        kind = _read_config(text, f"{CONFIG} of {self.repo_id}").get("model_type")
        if kind != GloveBiLSTMConfig.model_type:
            raise InputError(
                f"{self.repo_id} already holds a model of the type {kind!r}, which a push would destroy. Choose "
                "another --repo_id."
            )

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
        self._warn(folder, plan, removed, sorted(filter(PICKLES.search, there)))
        where: dict[str, Any] = {"revision": self.revision, "create_pr": self.create_pr}
        self._ask(lambda: api.preupload_lfs_files(self.repo_id, additions, **where))

        def requests() -> set[str]:
            refs = api.list_repo_refs(self.repo_id, include_pull_requests=True)
            return {request.ref for request in refs.pull_requests or ()}

        # Earlier ones stay on the list when they were closed, and may hold the same.
        earlier = self._ask(requests) if self.create_pr else set()

        def commit() -> str:
            made = api.create_commit(
                self.repo_id,
                [*additions, *map(CommitOperationDelete, removed)],
                commit_message=commit_message or "Upload model",
                commit_description=description,
                parent_commit=found.sha,
                **where,
            )
            # The client makes no empty commit: it gives the one that is there.
            return "" if made.oid == found.sha else str(made.pr_url or made.commit_url)

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
        return address or None

    def _ask(
        self, call: Callable[[], Result], arrived: Callable[[], Result | None] | None = None, look_at: str = ""
    ) -> Result:
        made = " and ".join(self.made)
        if made:
            made = f"{made[0].upper()}{made[1:]} {'was' if len(self.made) == 1 else 'were'} made"
        return call_hub(call, self.repo_id, arrived, look_at, made)

    def _warn(self, folder: Path, plan: Plan, removed: list[str], pickles: list[str]) -> None:
        """Tell what a push leaves out, removes or leaves behind."""
        if removed:
            logger.warning(
                "%s has %s, which this push doesn't bring: they may tell of another model, and are removed with this "
                "commit. Earlier ones keep them.",
                self.repo_id,
                ", ".join(removed),
            )
        if CARD not in plan.files:
            logger.warning("%s has no card (%s), so its page will say nothing of it.", folder, CARD)
        if unsure := [name for name in MEASURED if name in plan.left_out]:
            logger.warning(
                "No card in %s tells which weights its figures are of, so %s aren't pushed: they may be of others.",
                folder,
                ", ".join(unsure),
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


def _content(file: Path, repo_id: str) -> Path | bytes:
    """What is pushed of a file: itself, but for the card, which names the repository, and the tokenizer's class."""
    if file.name == CARD:
        return name_after_repository(file.read_text(encoding="utf-8"), repo_id).encode()
    if file.name == "tokenizer_config.json":
        config = _read_config(file.read_text(encoding="utf-8"), str(file))
        # What `AutoTokenizer` saves, in transformers 5; transformers 4 and other tools don't know it.
        if config.get("tokenizer_class") == "TokenizersBackend":
            config["tokenizer_class"] = "PreTrainedTokenizerFast"
            kept = {name: value for name, value in config.items() if name not in ("is_local", "local_files_only")}
            return (json.dumps(kept, indent=2, ensure_ascii=False) + "\n").encode()
    return file


def _digest(plan: Plan) -> str:
    """One hash of all files, names included."""
    whole = hashlib.sha256()
    for name, file in plan.files.items():
        whole.update(f"{name} {hash_of(file)}\n".encode())
    return whole.hexdigest()


def _read_config(text: str, where: str) -> dict[str, Any]:
    config = read_json(text, where)
    return config if isinstance(config, dict) else {}
