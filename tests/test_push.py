"""`glove-bilstm push`, against a Hub on this machine that behaves, and one that doesn't."""

import json
import os
import re
import shutil
import sys
import threading
from pathlib import Path

import httpx2
import pytest
from helpers import TINY, run
from huggingface_hub import ModelCard, constants
from loopback_hub import READER, WRITER, Hub, Repository, serve_hub
from transformers import AutoTokenizer

from glove_bilstm.hub.push import Destination, plan_push
from glove_bilstm.inference import OnnxClassifier
from glove_bilstm.scripts.main import main
from glove_bilstm.vectors.errors import InputError

NAMES = {
    "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md", "all_results.json",
    "coverage.json", "configuration_glove_bilstm.py", "modeling_glove_bilstm.py", "reliability.png",
    "confusion_matrix.png", "handler.py",
}  # fmt: skip
REPO = "somebody/tiny"


def pushed(hub: Hub, folder: Path, revision: str = "main") -> bool:
    """Whether the revision holds the folder's files, all of them and no others."""
    files = hub.files(REPO, revision)
    expected = {name: (folder / name).read_bytes() for name in NAMES}
    expected["README.md"] = expected["README.md"].replace(b'"tiny"', b'"somebody/tiny"')
    return {name: files[name] for name in files if name != ".gitattributes"} == expected


class TestPush:
    def test_an_export_is_pushed_and_pulled(self, hub: Hub, folder: Path) -> None:
        assert main(["export", "--model", str(folder), "--output", str(folder / "onnx")]) == 0
        assert main(["push", "--model", str(folder), "--repo_id", REPO]) == 0
        texts = ["a superb film", "", "dull"]
        assert OnnxClassifier.from_pretrained(REPO)(texts) == OnnxClassifier(folder / "onnx")(texts)

    def test_one_commit_with_all_files(self, hub: Hub, folder: Path, capsys: pytest.CaptureFixture) -> None:
        assert main(["push", "--model", str(folder), "--repo_id", REPO, "--commit_message", "First"]) == 0
        head = hub.repositories[REPO].heads["main"]
        assert pushed(hub, folder) and head.title == "First" and head.parent is not None
        assert head.parent.title == "initial commit"
        assert not hub.repositories[REPO].private
        assert f"Pushed: {hub.url}/{REPO}/commit/{head.sha}" in capsys.readouterr().out

    def test_own_namespace_private_branch(self, hub: Hub, folder: Path) -> None:
        arguments = ["push", "--model", str(folder), "--repo_id", "tiny", "--private", "--revision", "two"]
        assert main(arguments) == 0
        assert pushed(hub, folder, "two") and hub.repositories[REPO].private
        assert set(hub.files(REPO)) == {".gitattributes"}

    def test_pull_request(self, hub: Hub, folder: Path, capsys: pytest.CaptureFixture) -> None:
        assert main(["push", "--model", str(folder), "--repo_id", REPO, "--create-pr"]) == 0
        assert pushed(hub, folder, "refs/pr/1") and set(hub.files(REPO)) == {".gitattributes"}
        assert f"{hub.url}/{REPO}/discussions/1" in capsys.readouterr().out

    @pytest.mark.parametrize("options", [[], ["--create_pr"], ["--revision", "two"]])
    def test_nothing_has_changed(
        self,
        options: list[str],
        hub: Hub,
        folder: Path,
        capsys: pytest.CaptureFixture,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        assert main(["push", "--model", str(folder), "--repo_id", REPO]) == 0
        heads = {head.sha for head in hub.repositories[REPO].heads.values()}
        capsys.readouterr()
        hub.asked.clear()
        assert main(["push", "--model", str(folder), "--repo_id", REPO, *options]) == 0
        out = capsys.readouterr().out
        assert f"Nothing to push: {REPO} holds just that." in out and "Pushed" not in out
        made = f"The branch two of {REPO} was made; it holds just this model already."
        assert [record.getMessage() for record in caplog.records] == [made] * ("two" in options)
        assert not [asked for asked in hub.asked if re.search("preupload|/commit/", asked)]  # the client says of these
        assert {head.sha for head in hub.repositories[REPO].heads.values()} == heads

    def test_a_model_without_a_card(self, hub: Hub, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        Destination(REPO).push(folder)
        assert not caplog.records
        (folder / "README.md").unlink()
        Destination(REPO).push(folder)
        measured = {"all_results.json", "reliability.png", "confusion_matrix.png"}
        # Nothing tells whether they are of these weights.
        assert set(hub.files(REPO)) == NAMES - measured - {"README.md"} | {".gitattributes"}
        assert f"{REPO} has README.md, all_results.json, confusion_matrix.png, reliability.png, which" in caplog.text
        assert "has no card (README.md)" in caplog.text and "aren't pushed: they may be of others" in caplog.text

    def test_a_new_model_leaves_nothing_of_the_old_one(self, hub: Hub, folder: Path) -> None:
        (folder / "drift.json").write_text("{}")
        Destination(REPO).push(folder)
        assert "drift.json" in hub.files(REPO)
        hub.repositories[REPO].add("main", {**hub.files(REPO), "notes.md": b"mine"})
        (folder / "drift.json").unlink()
        Destination(REPO).push(folder)
        assert "drift.json" not in hub.files(REPO) and hub.files(REPO)["notes.md"] == b"mine"

    def test_pickles_that_are_there_are_told(self, hub: Hub, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        Destination(REPO).push(folder)
        theirs = {"training_args.bin": b"hf", "checkpoint-3/optimizer.pt": b"x"}
        hub.repositories[REPO].add("main", {**hub.files(REPO), **theirs})
        Destination(REPO).push(folder)
        assert f"{REPO} holds checkpoint-3/optimizer.pt, training_args.bin from elsewhere" in caplog.text
        assert f"`hf repos delete-files {REPO} checkpoint-3/optimizer.pt training_args.bin`" in caplog.text
        assert theirs.items() <= hub.files(REPO).items()

    def test_a_tokenizer_that_was_saved_again(self, hub: Hub, folder: Path) -> None:
        file = folder / "tokenizer_config.json"
        before = json.loads(file.read_text())
        assert before["tokenizer_class"] == "PreTrainedTokenizerFast"
        AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
        assert "TokenizersBackend" in file.read_text()
        Destination(REPO).push(folder)
        assert json.loads(hub.files(REPO)[file.name]) == before

    @pytest.mark.parametrize("name", ["20261130", "null", "on", "1e5", "x"])
    def test_a_name_stays_a_text(self, name: str, hub: Hub, folder: Path) -> None:
        card = (folder / "README.md").read_text()
        for old in ("tiny", "2026-11-30"):  # which YAML quotes
            mine = card.replace("# tiny\n", f"# {old}\n").replace('model="tiny"', f'model="{old}"')
            mine = mine.replace("- name: tiny\n", "- name: tiny\n" if old == "tiny" else f"- name: '{old}'\n")
            (folder / "README.md").write_text(mine)
            Destination(f"somebody/{name}").push(folder)
            sent = hub.files(f"somebody/{name}")["README.md"].decode()
            assert ModelCard(sent).data.model_name == name
            expected = card.replace("# tiny\n", f"# {name}\n").replace('model="tiny"', f'model="somebody/{name}"')
            assert sent == expected.replace("- name: tiny\n", f'- name: "{name}"\n')

    def test_dry_run_asks_nothing(self, hub: Hub, folder: Path, capsys: pytest.CaptureFixture) -> None:
        assert main(["push", "--model", str(folder), "--repo_id", REPO, "--dry_run"]) == 0
        assert not hub.asked
        out = capsys.readouterr().out
        assert f"{(folder / 'model.safetensors').stat().st_size:,}" in out and "dry run" in out
        assert all(name in out for name in NAMES)

    def test_dry_run_warns_as_a_push_does(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        (folder / "README.md").unlink()
        assert main(["push", "--model", str(folder), "--repo_id", REPO, "--dry_run"]) == 0
        assert "has no card (README.md)" in caplog.text and "all_results.json" in caplog.text

    def test_a_branch_that_went_its_own_way(self, hub: Hub, folder: Path) -> None:
        Destination(REPO).push(folder)
        for content in ("{}", "[]"):
            (folder / "coverage.json").write_text(content)
            Destination(REPO, revision="two").push(folder)
            assert pushed(hub, folder, "two") and not pushed(hub, folder)
        assert Destination(REPO, revision="two").push(folder) is None

    def test_another_type_is_on_the_branch(self, hub: Hub, folder: Path) -> None:
        Destination(REPO).push(folder)
        hub.repositories[REPO].heads["two"] = hub.repositories[REPO].heads["main"]
        hub.repositories[REPO].add("two", {"config.json": b'{"model_type": "bert"}'})
        with pytest.raises(InputError, match="already holds a model of the type 'bert'"):
            Destination(REPO, revision="two").push(folder)
        assert hub.files(REPO, "two") == {"config.json": b'{"model_type": "bert"}'}
        hub.repositories[REPO].add("main", {"config.json": b'{"model_type": "bert"}'})
        hub.repositories[REPO].heads["two"] = hub.repositories[REPO].heads["main"].parent  # ours
        assert Destination(REPO, revision="two").push(folder) is None


class TestNeverPushed:
    def test_what_a_run_leaves_in_its_folder(self, hub: Hub, folder: Path) -> None:
        (folder / "checkpoint-3").mkdir()
        (folder / "checkpoint-3" / "optimizer.pt").write_bytes(b"x")
        for name in ("training_args.bin", "pytorch_model.bin", "model.pkl", ".env", "token"):
            (folder / name).write_bytes(b"x")
        Destination(REPO).push(folder)
        assert pushed(hub, folder)

    def test_a_secret_is_found_before_anything_is_asked(self, hub: Hub, folder: Path) -> None:
        (folder / "README.md").write_text(f"# {WRITER}")
        with pytest.raises(InputError, match=r"README\.md, line 1, holds a secret"):
            Destination(REPO).push(folder)
        assert not hub.asked


class TestBadFolders:
    def test_figures_of_other_weights(self, folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        weights = {name: tensor + 1 for name, tensor in load_file(folder / "model.safetensors").items()}
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        with pytest.raises(
            InputError, match=r"figures in .*README\.md are of other weights than .*model\.safetensors"
        ):
            plan_push(folder)
        card = (folder / "README.md").read_text()
        (folder / "README.md").write_text("\n".join(line for line in card.splitlines() if "Measured on" not in line))
        plan = plan_push(folder)
        assert {"README.md", "coverage.json"} <= set(plan.files)
        assert {"all_results.json", "reliability.png", "confusion_matrix.png"} <= set(plan.left_out)

    def test_no_model(self, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        assert main(["push", "--model", str(tmp_path), "--repo_id", REPO]) == 1
        assert "no model folder: it has no config.json and no model.safetensors" in capsys.readouterr().err

    def test_not_ours_and_no_code(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
        with pytest.raises(InputError, match="a model of the type 'bert'"):
            plan_push(folder)
        (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoConfig": "a.B"}}))
        with pytest.raises(InputError, match="names no code for AutoModel, AutoModelForSequenceClassification"):
            plan_push(folder)
        (folder / "config.json").write_text("{")
        with pytest.raises(InputError, match="is not JSON"):
            plan_push(folder)
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-16")
        with pytest.raises(InputError, match=r"config\.json isn't UTF-8 text"):
            plan_push(folder)
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "modeling_glove_bilstm.py").unlink()
        with pytest.raises(InputError, match="lacks modeling_glove_bilstm.py"):
            plan_push(folder)


class TestRefused:
    def test_nobody_is_logged_in(self, hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HF_TOKEN")
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "none"))
        with pytest.raises(
            InputError, match="Nobody is logged in to the Hub. Log in with `hf auth login`, or set HF_TOKEN"
        ):
            Destination(REPO).push(folder)

    @pytest.mark.parametrize(
        ("token", "repo_id", "message"),
        [
            ("hf_" + "x" * 34, REPO, "doesn't know your token. Log in"),
            (READER, "reader/tiny", "no permission to write to reader/tiny: .* Use one that may write"),
            (WRITER, "elsewhere/tiny", "no permission to write to elsewhere/tiny: .*your own namespace"),
        ],
    )
    def test_tokens(
        self, token: str, repo_id: str, message: str, hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(InputError, match=message):
            Destination(repo_id).push(folder)
        assert not hub.repositories

    def test_another_type_is_there(self, hub: Hub, folder: Path) -> None:
        hub.repositories[REPO] = Repository()
        hub.repositories[REPO].add("main", {"config.json": b'{"model_type": "bert"}'})
        with pytest.raises(InputError, match="already holds a model of the type 'bert'.* another --repo_id"):
            Destination(REPO, revision="new").push(folder)
        assert list(hub.repositories[REPO].heads) == ["main"] and len(hub.files(REPO)) == 1

    @pytest.mark.parametrize(
        "name",
        [
            "adapter_config.json", "pytorch_model.bin", "unet/weights.safetensors", "model.pkl", "model.skops",
            "sklearn_model.joblib", "model.keras", "tf_model.h5", "flax_model.msgpack", "last.ckpt", "model.tflite",
            "saved_model.pb",
        ],
    )  # fmt: skip
    def test_a_model_without_a_configuration_is_there(self, name: str, hub: Hub, folder: Path) -> None:
        hub.repositories[REPO] = Repository()
        hub.repositories[REPO].add("main", {name: b"{}", "README.md": b"theirs"})
        with pytest.raises(InputError, match=f"already holds {name}, of a model of another kind.* another --repo_id"):
            Destination(REPO).push(folder)
        assert hub.files(REPO) == {name: b"{}", "README.md": b"theirs"}

    def test_a_pull_request_to_a_branch_that_is_not_there(self, hub: Hub, folder: Path) -> None:
        with pytest.raises(InputError, match="has no such --revision as new"):
            Destination(REPO, revision="new", create_pr=True).push(folder)
        assert not hub.repositories  # none was made for it
        Destination(REPO).push(folder)
        with pytest.raises(InputError, match="has no such --revision as new"):
            Destination(REPO, revision="new", create_pr=True).push(folder)

    def test_a_private_one_was_asked_for_and_a_public_one_is_there(
        self, hub: Hub, folder: Path, capsys: pytest.CaptureFixture
    ) -> None:
        hub.repositories[REPO] = Repository()
        hub.repositories[REPO].add("main", {})
        assert main(["push", "--model", str(folder), "--repo_id", REPO, "--private", "--revision", "two"]) == 1
        told = capsys.readouterr().err
        assert f"a private repository, and {REPO} is there and public, so nothing was pushed. Make it private" in told
        assert all(asked.startswith("GET ") or "validate" in asked for asked in hub.asked)
        hub.repositories[REPO].private = True
        assert main(["push", "--model", str(folder), "--repo_id", REPO, "--private"]) == 0

    def test_somebody_makes_the_repository_first(self, hub: Hub, folder: Path) -> None:
        def intervene(asked: str) -> None:
            if "/repos/create" in asked:
                hub.repositories[REPO] = Repository()
                hub.repositories[REPO].add("main", {"notes.md": b"theirs"})

        hub.before = intervene
        hub.faults = {"POST .*/commit/main": [413]}
        with pytest.raises(InputError, match="refused .413.") as refused:
            Destination(REPO).push(folder)
        assert "made" not in str(refused.value)  # by us
        Destination(REPO).push(folder)
        assert set(hub.files(REPO)) == {*NAMES, "notes.md"}

    def test_a_bad_name(self, hub: Hub, folder: Path, capsys: pytest.CaptureFixture) -> None:
        assert main(["push", "--model", str(folder), "--repo_id", "a/b/c"]) == 1
        assert "Repo id must be in the form" in capsys.readouterr().err

    def test_somebody_else_was_faster(self, hub: Hub, folder: Path) -> None:
        def intervene(asked: str) -> None:
            if "/commit/" in asked:
                hub.before = None
                hub.repositories[REPO].add("main", {"config.json": b"theirs"})

        hub.before = intervene
        with pytest.raises(InputError, match="Somebody else pushed to somebody/tiny in the meantime"):
            Destination(REPO).push(folder)
        assert hub.files(REPO) == {"config.json": b"theirs"}

    def test_two_at_once_leave_one_of_them_whole(self, hub: Hub, folder: Path, tmp_path: Path) -> None:
        other = Path(shutil.copytree(folder, tmp_path / "other"))
        (other / "README.md").write_text((other / "README.md").read_text() + "other")
        Destination(REPO).push(folder)
        errors = []

        def go(which: Path) -> None:
            (which / "all_results.json").write_text(json.dumps({"which": which.name}))
            try:
                Destination(REPO).push(which)
            except InputError as error:
                errors.append(error)

        threads = [threading.Thread(target=go, args=(which,)) for which in (folder, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert pushed(hub, folder) != pushed(hub, other) and len(errors) < 2


class TestFaults:
    FAULTS = [
        ("POST /api/repos/create", [503, "drop"]),
        ("POST /api/repos/create", ["lost"]),
        ("GET /api/models/", [500, "cut", 520, "html"]),
        ("POST /api/validate-yaml", [502, "drop"]),
        ("POST .*/preupload/", [504, "drop"]),
        ("POST .*/objects/batch", [500, "drop"]),
        ("PUT /objects/", [500, "cut", "drop"]),
        ("POST .*/commit/main", [503, "drop", 500, 520]),
        ("POST .*/commit/main", ["lost"]),
        ("POST .*/commit/main", [503, 503, 503, 503, "lost"]),
    ]

    @pytest.mark.parametrize(("where", "faults"), FAULTS)
    def test_what_passes_is_tried_again(self, where: str, faults: list, hub: Hub, folder: Path) -> None:
        hub.faults = {where: list(faults)}
        Destination(REPO).push(folder)
        assert hub.faults == {where: []} and pushed(hub, folder)
        titles = []
        commit = hub.repositories[REPO].heads["main"]
        while commit is not None:
            titles.append(commit.title)
            commit = commit.parent
        assert titles == ["Upload model", "initial commit"]

    def test_the_hub_says_when_to_try_again(
        self, hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        waited: list[float] = []
        monkeypatch.setattr("time.sleep", waited.append)
        hub.faults = {"POST .*/commit/main": [429, 429, 503]}
        Destination(REPO).push(folder)
        assert pushed(hub, folder) and waited == [77, 77, 4]
        assert "The Hub answered 429. Trying again in 77 s." in caplog.text

    @pytest.mark.parametrize("faults", [["lost"], [503, "drop", "lost"]])
    def test_one_pull_request_is_opened(self, faults: list, hub: Hub, folder: Path) -> None:
        hub.faults = {"POST .*/commit/main": list(faults)}
        Destination(REPO, create_pr=True).push(folder)
        assert set(hub.repositories[REPO].heads) == {"main", "refs/pr/1"}
        assert pushed(hub, folder, "refs/pr/1")

    def test_a_pull_request_that_was_there_is_not_ours(self, hub: Hub, folder: Path) -> None:
        Destination(REPO).push(folder)
        (folder / "coverage.json").write_text("{}")
        Destination(REPO, create_pr=True).push(folder)
        hub.faults = {"POST .*/commit/main": [500]}
        address = Destination(REPO, create_pr=True).push(folder, "Again")
        assert address == f"{hub.url}/{REPO}/discussions/2" and hub.repositories[REPO].heads["refs/pr/2"]

    @pytest.mark.parametrize("after", ["late", "on top"])
    def test_a_commit_that_is_found_later(self, after: str, hub: Hub, folder: Path) -> None:
        """It wasn't there yet when it was looked for; or somebody's own came on top of it."""
        Destination(REPO).push(folder)
        (folder / "coverage.json").write_text("{}")
        heads = hub.repositories[REPO].heads
        ours = []

        def intervene(asked: str) -> None:
            if "GET" in asked and "/commits/" in asked and not ours:
                ours.append(heads["main"])
                if after == "late":
                    heads["main"] = ours[0].parent
                else:
                    hub.repositories[REPO].add("main", {"notes.md": b"theirs"})
            elif after == "late" and "POST" in asked and "/commit/" in asked and ours:
                heads["main"] = ours[0]

        hub.before = intervene
        hub.faults = {"POST .*/commit/main": ["lost"]}
        assert Destination(REPO).push(folder) == f"{hub.url}/{REPO}/commit/{ours[0].sha}"

    @pytest.mark.parametrize(("create_pr", "place"), [(False, "commits/main"), (True, "discussions")])
    def test_it_is_not_known_whether_it_arrived(
        self, create_pr: bool, place: str, hub: Hub, folder: Path, capsys: pytest.CaptureFixture
    ) -> None:
        Destination(REPO).push(folder)
        (folder / "coverage.json").write_text("{}")
        hub.faults = {"POST .*/commit/main": ["lost"], "GET .*/commits/": ["html"] * 5}
        with pytest.raises(ConnectionError, match="whether it had arrived failed too, so that isn't known") as failed:
            Destination(REPO, create_pr=create_pr).push(folder)
        assert f"Look at {hub.url}/{REPO}/{place}; if nothing came, push again." in str(failed.value)
        assert "as it was" not in str(failed.value)
        assert hub.files(REPO, "refs/pr/1" if create_pr else "main")["coverage.json"] == b"{}"

    @pytest.mark.parametrize(("fault", "error"), [(503, ConnectionError), (413, InputError)])
    def test_what_was_made_is_named(self, fault: int, error: type[Exception], hub: Hub, folder: Path) -> None:
        hub.faults = {"POST .*/commit/main": [fault] * 5}
        with pytest.raises(error, match=f"The repository {REPO} was made, but this model isn't there"):
            Destination("tiny").push(folder)
        hub.faults = {"POST .*/commit/two": [fault] * 5}
        with pytest.raises(error, match=f"The branch two of {REPO} was made, but this model isn't there"):
            Destination(REPO, revision="two").push(folder)
        del hub.repositories[REPO]
        destination = Destination(REPO, revision="two")
        destination.prepare()  # as before training
        hub.faults = {"POST .*/commit/two": [fault] * 5}
        both = f"The repository {REPO} and the branch two of {REPO} were made, but this model isn't there"
        with pytest.raises(error, match=both):
            destination.push(folder)

    def test_making_a_repository(self, hub: Hub, folder: Path) -> None:
        hub.faults = {"POST /api/repos/create": [503] * 5}
        with pytest.raises(ConnectionError, match=f"{REPO} is as it was; push again later"):
            Destination(REPO).push(folder)
        assert not hub.repositories
        hub.faults = {"POST /api/repos/create": ["lost"]}

        def intervene(asked: str) -> None:  # the Hub goes down just then
            if "/repos/create" in asked:
                hub.faults["GET /api/models/"] = [503] * 5

        hub.before = intervene
        with pytest.raises(ConnectionError, match=f"isn't known. Look at {hub.url}/{REPO}; if nothing came") as failed:
            Destination(REPO).push(folder)
        assert hub.repositories and "as it was" not in str(failed.value)

    @pytest.mark.parametrize(
        "where",
        [*dict.fromkeys(where for where, _ in FAULTS if "create" not in where), "(HEAD|GET) .*/resolve/"],
    )
    @pytest.mark.parametrize("fault", [503, "drop"])
    def test_what_stays_leaves_the_remote_as_it_was(
        self, where: str, fault: int | str, hub: Hub, folder: Path
    ) -> None:
        Destination(REPO).push(folder)
        before = hub.repositories[REPO].heads["main"].sha
        (folder / "README.md").write_text("new")
        weights = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
        hub.faults = {where: [fault] * 99}
        with pytest.raises((ConnectionError, httpx2.HTTPError)) as failed:
            Destination(REPO).push(folder)
        assert type(failed.value) is ConnectionError, failed.value
        assert f"{REPO} is as it was; push again later" in str(failed.value)
        assert hub.repositories[REPO].heads["main"].sha == before

    def test_a_wrong_hash_is_refused(self, hub: Hub, folder: Path) -> None:
        hub.faults = {"PUT /objects/": ["corrupt"]}
        with pytest.raises((InputError, ConnectionError, RuntimeError)) as failed:
            Destination(REPO).push(folder)
        assert type(failed.value) is InputError, repr(failed.value)
        assert set(hub.files(REPO)) == {".gitattributes"}

    def test_an_earlier_commit_of_the_same_files_is_not_this_one(self, hub: Hub, folder: Path) -> None:
        Destination(REPO).push(folder)
        first = (folder / "coverage.json").read_text()
        (folder / "coverage.json").write_text("{}")
        Destination(REPO).push(folder)
        (folder / "coverage.json").write_text(first)
        hub.faults = {"POST .*/commit/main": [503]}
        address = Destination(REPO).push(folder)
        assert pushed(hub, folder)
        assert address == f"{hub.url}/{REPO}/commit/{hub.repositories[REPO].heads['main'].sha}"

    def test_a_commit_to_a_branch_is_found_there(self, hub: Hub, folder: Path) -> None:
        hub.faults = {"POST .*/commit/two": ["lost"]}
        address = Destination(REPO, revision="two").push(folder)
        head = hub.repositories[REPO].heads["two"]
        assert address == f"{hub.url}/{REPO}/commit/{head.sha}" and pushed(hub, folder, "two")
        assert head.parent is not None and head.parent.title == "initial commit"


TRAINER = """
import sys
from transformers import AutoTokenizer
from glove_bilstm import GloveBiLSTMForSequenceClassification, GloveBiLSTMTrainer, GloveBiLSTMTrainingArguments

model, folder, token = sys.argv[1:]
rows = [{"input_ids": [2, 3, 4], "label": number % 2} for number in range(9)]
arguments = GloveBiLSTMTrainingArguments(
    folder, max_steps=2, eval_strategy="no", load_best_model_at_end=False, use_cpu=True, disable_tqdm=True,
    hub_token=token,
)
classifier = GloveBiLSTMForSequenceClassification.from_pretrained(model)
trainer = GloveBiLSTMTrainer(
    classifier, arguments, train_dataset=rows, processing_class=AutoTokenizer.from_pretrained(model)
)
trainer.train()
trainer.push_to_hub()
"""


@pytest.mark.slow
def test_the_trainers_own_push_sends_no_pickle(tmp_path: Path, model: Path) -> None:
    with serve_hub() as hub:
        environment = {**os.environ, **hub.environment(tmp_path / "home", token=None), "HF_HUB_OFFLINE": "0"}
        done = run(sys.executable, "-c", TRAINER, model, tmp_path / "mine", WRITER, env=environment)
        assert done.returncode == 0, done.stderr
        files = hub.files("somebody/mine")
        assert {"model.safetensors", "config.json", "modeling_glove_bilstm.py", "tokenizer.json"} <= set(files)
        assert not [name for name in files if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
        assert not [name for name, content in files.items() if WRITER.encode() in content]


class TestTraining:
    def test_pushed_when_all_is_done(
        self,
        hub: Hub,
        tmp_path: Path,
        dataset_folder: Path,
        vectors_file: Path,
        capsys: pytest.CaptureFixture,
    ) -> None:
        command = ["train", "--dataset", str(dataset_folder), "--vectors", str(vectors_file), *TINY]
        out = tmp_path / "tiny"
        wanted = ["--push_to_hub", "--hub_private_repo", "True", "--hub_revision", "v1", "--hub_token", WRITER]
        assert main([*command, "--output_dir", str(out), *wanted]) == 0
        assert pushed(hub, out, "v1") and hub.repositories[REPO].private
        assert 'model="somebody/tiny"' in (out / "README.md").read_text()
        assert WRITER not in "".join(
            file.read_text() for suffix in ("json", "md", "py") for file in out.glob(f"*.{suffix}")
        )
        assert f"Pushed: {hub.url}/{REPO}/commit/" in capsys.readouterr().out
        assert sum("/commit/" in asked for asked in hub.asked) == 1

    def test_refused_before_training(
        self, hub: Hub, tmp_path: Path, dataset_folder: Path, vectors_file: Path, capsys: pytest.CaptureFixture
    ) -> None:
        command = ["train", "--dataset", str(dataset_folder), "--vectors", str(vectors_file), *TINY]
        hub.repositories[REPO] = Repository()
        hub.repositories[REPO].add("main", {})
        for model_id, message in (
            ("elsewhere/tiny", "no permission to write to elsewhere/tiny"),
            ("tiny", f"{REPO} is there and public, so nothing was pushed"),
        ):
            wanted = ["--push_to_hub", "--hub_model_id", model_id, "--hub_private_repo", "True"]
            assert main([*command, "--output_dir", str(tmp_path / "out"), *wanted]) == 1
            assert message in capsys.readouterr().err
            assert not (tmp_path / "out").exists()

    def test_a_license_is_refused_before_anything_is_made(
        self, hub: Hub, tmp_path: Path, dataset_folder: Path, vectors_file: Path, capsys: pytest.CaptureFixture
    ) -> None:
        command = ["train", "--dataset", str(dataset_folder), "--vectors", str(vectors_file), *TINY]
        wanted = ["--push_to_hub", "--hub_model_id", REPO, "--license", "gpl3"]
        assert main([*command, "--output_dir", str(tmp_path / "out"), *wanted]) == 1
        told = capsys.readouterr().err
        assert 'metadata: "license" must be one of [apache-2.0, mit]. Correct --license and --language' in told
        assert not (tmp_path / "out").exists() and not hub.repositories


class TestProcess:
    def test_the_command(self, folder: Path, tmp_path: Path) -> None:
        with serve_hub() as hub:
            done = run(
                sys.executable, "-m", "glove_bilstm.scripts.main", "push", "--model", folder,
                "--repo_id", REPO, env={**hub.environment(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert pushed(hub, folder)
