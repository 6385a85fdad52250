"""What a push makes of a Hub that refuses, falls silent or answers strangely."""

import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import constants, get_session
from loopback_hub import WRITER, Hub, Repository

from glove_bilstm.hub.push import Destination
from glove_bilstm.scripts.main import main
from glove_bilstm.vectors.errors import InputError

REPO = "somebody/tiny"
MADE = f"The repository {REPO} was made, but this model isn't there."
EXPIRED = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
STOOD_STILL = "<Error><Code>RequestTimeout</Code><Message>Your socket connection was idle.</Message></Error>"
TOO_LARGE = {"objects": [{"oid": "1", "size": 1, "error": {"code": 422, "message": "Enable files > 5GB first."}}]}
REVISION_GONE = (404, "Invalid rev id: main", {"X-Error-Code": "RevisionNotFound"})


def hold(hub: Hub, files: dict[str, bytes]) -> None:
    """Let the repository be there, with these files."""
    hub.repositories[REPO] = Repository()
    hub.repositories[REPO].add("main", files)


def refusal(folder: Path, error: type[Exception] = InputError) -> str:
    """What a push that fails says; the client is left as it was."""
    before = vars(get_session()).get("send"), constants.HF_HUB_DISABLE_XET
    with pytest.raises((InputError, ConnectionError)) as failed:
        Destination(REPO).push(folder)
    assert type(failed.value) is error, repr(failed.value)
    assert (vars(get_session()).get("send"), constants.HF_HUB_DISABLE_XET) == before
    return str(failed.value)


class TestGitignore:
    OLD = {"config.json": b'{"model_type": "glove_bilstm"}', "model.safetensors": b"old"}

    @pytest.mark.parametrize("there", [{}, OLD])
    def test_all_is_sent_all_the_same(self, there: dict[str, bytes], hub: Hub, folder: Path) -> None:
        hold(hub, {".gitignore": b"model*\n*.png\n", **there})
        Destination(REPO).push(folder)
        assert hub.files(REPO)["model.safetensors"] == (folder / "model.safetensors").read_bytes()
        assert {"modeling_glove_bilstm.py", "reliability.png", "config.json"} <= set(hub.files(REPO))

    def test_or_nothing_where_the_hub_insists(self, hub: Hub, folder: Path) -> None:
        hold(hub, {".gitignore": b"model*\n*.png\n", **self.OLD})
        head = hub.repositories[REPO].heads["main"]
        hub.faults = {"/preupload/": ["stubborn"] * 2}
        told = refusal(folder)
        assert "leave out confusion_matrix.png, model.safetensors, modeling_glove_bilstm.py, reliability.png" in told
        assert told.endswith(", so nothing was pushed. Take that out of .gitignore there and push again.")
        assert hub.repositories[REPO].heads["main"] is head
        hub.faults = {"/preupload/": ["stubborn"]}
        with pytest.raises(InputError, match=r"push again\. The branch two of somebody/tiny was made\.$"):
            Destination(REPO, revision="two").push(folder)


class TestSilence:
    @pytest.fixture(autouse=True)
    def _not_for_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("glove_bilstm.hub.calls.SILENCE", httpx2.Timeout(0.5))

    @pytest.mark.parametrize(
        ("where", "fault"),
        [("GET /api/models/", "hang"), ("PUT /objects/", "hang"), ("/commit/", "hang"), ("/commit/", "mute")],
    )
    def test_it_is_asked_again(
        self, where: str, fault: str, hub: Hub, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        hub.faults = {where: [fault]}
        Destination(REPO).push(folder)
        assert "The connection to the Hub failed (timed out). Trying again in 1 s." in caplog.text
        assert hub.faults == {where: []} and "model.safetensors" in hub.files(REPO)
        head = hub.repositories[REPO].heads["main"]
        assert head.parent is not None and head.parent.parent is None  # one commit

    def test_it_ends(self, hub: Hub) -> None:
        hub.faults = {"/api/models/": ["hang"] * 99}
        with pytest.raises(ConnectionError, match=r"failed \(timed out\), 5 times\. somebody/tiny is as it was"):
            Destination(REPO).prepare()
        assert len(hub.asked) == 5


class TestWhatNeverPasses:
    @pytest.mark.parametrize(("token", "given"), [("hf_s3cret", "hf_s3cret\nmore"), ("hf_s3crét", None)])
    def test_a_token_that_is_none(
        self,
        token: str,
        given: str | None,
        hub: Hub,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(InputError, match="The token for the Hub holds characters that no token has") as failed:
            Destination(REPO, token=given).push(folder)
        assert "hf_" not in f"{failed.value}{caplog.text}" and not hub.asked

    def test_a_token_with_the_end_of_its_line(self, hub: Hub, folder: Path) -> None:
        Destination(REPO, token=f"{WRITER}\n").push(folder)
        assert "model.safetensors" in hub.files(REPO)

    @pytest.mark.parametrize(
        ("endpoint", "told"),
        [("huggingface.local", "missing an 'http"), ("http://here:port", "Invalid port"), (None, "redirects")],
    )
    def test_an_endpoint_that_is_none(
        self, endpoint: str | None, told: str, hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.faults = {"validate-yaml": [(307, "", {"Location": "/api/validate-yaml"})] * 99}
        monkeypatch.setattr(constants, "ENDPOINT", endpoint or hub.url)
        found = refusal(folder)
        assert found.startswith(f"The Hub can't be asked at {endpoint or hub.url} (") and told in found
        assert found.endswith("). Look at HF_ENDPOINT.")

    def test_a_file_that_vanished(self, hub: Hub, folder: Path) -> None:
        def intervene(asked: str) -> None:
            if "/objects/batch" in asked:
                (folder / "model.safetensors").unlink()

        hub.before = intervene
        with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
            Destination(REPO).push(folder)


class TestXet:
    def test_its_storage_is_not_needed(self, hub: Hub, folder: Path) -> None:
        hub.faults = {"xet-write-token": [(403, "Quota"), 500] * 9}
        Destination(REPO).push(folder)
        assert hub.files(REPO)["model.safetensors"] == (folder / "model.safetensors").read_bytes()
        assert not [asked for asked in hub.asked if "xet" in asked]
        assert not constants.HF_HUB_DISABLE_XET


class TestCard:
    def test_what_the_hub_refuses_it_refuses_first(self, hub: Hub, folder: Path) -> None:
        card = (folder / "README.md").read_text()
        (folder / "README.md").write_text(card.replace("---\n", "---\nlicense: gpl3\n", 1))
        assert refusal(folder) == (
            "The Hub doesn't take the card's metadata: \"license\" must be one of [apache-2.0, mit]. "
            f"Correct {folder / 'README.md'} and try again."
        )
        assert hub.asked == ["POST /api/validate-yaml"]

    @pytest.mark.parametrize("status", [403, 404])
    def test_a_page_instead_of_an_answer(self, status: int, hub: Hub, folder: Path) -> None:
        hub.faults = {"validate-yaml": [status]}
        assert re.match(rf"The Hub refused \({status} [\w ]+\)\. When that is mended", refusal(folder))

    def test_what_it_doubts(self, hub: Hub, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        hub.doubts = ["No dataset is named."]
        Destination(REPO).push(folder)  # a warning of the client would be an error here
        assert [record.getMessage() for record in caplog.records] == [
            f"The Hub says of the card's metadata, from {folder / 'README.md'}: No dataset is named."
        ]


class TestWords:
    @pytest.mark.parametrize(
        ("where", "fault", "told"),
        [
            ("/commit/", (403, "Storage is full."), "The Hub refused (403 Forbidden): Storage is full. When"),
            ("/preupload/", (403, "Access to this resource is disabled."), "): Access to this resource is disabled."),
            ("/commit/", (403, "You must use a write token."), "You must use a write token. Use one that may write"),
            ("POST /verify", (404, "hash mismatch"), r"The Hub refused [\w.]+ (404 Not Found): hash mismatch. When"),
            ("PUT /", 413, r"The Hub refused [\w.]+ (413 Request Entity Too Large). When"),
            ("PUT /", (400, "<Error><Code>BadDigest</Code></Error>"), r"refused [\w.]+ (400 Bad Request): BadDigest."),
            ("/objects/batch", TOO_LARGE, "The Hub refused a large file: Enable files > 5GB first. When"),
            ("/tree/", REVISION_GONE, "The Hub refused (404 Not Found): Invalid rev id: main. When"),
        ],
    )  # fmt: skip
    def test_a_refusal(self, where: str, fault: Any, told: str, hub: Hub, folder: Path) -> None:
        hub.faults = {where: [fault] * 9}
        found = refusal(folder)
        pattern = re.escape(told).replace(re.escape(r"[\w.]+"), r"[\w.]+")
        assert re.search(pattern, found), found
        assert found.endswith(f". {MADE}") and not re.search(r"finds no|mozilla|\.\.|: \.", found)
        assert ("token" in found) == ("token" in told)

    def test_no_repository(self, hub: Hub, folder: Path) -> None:
        hold(hub, {})
        hub.before = lambda asked: hub.repositories.clear() if "/tree/" in asked else None
        assert refusal(folder).startswith(f"The Hub finds no {REPO} that your token may see.")

    def test_an_address_that_expired(self, hub: Hub, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        hub.faults = {"PUT /objects/": [(403, EXPIRED)]}
        Destination(REPO).push(folder)
        assert "The Hub answered 403 (Request has expired). Trying again in 1 s." in caplog.text
        assert sum("/objects/batch" in asked for asked in hub.asked) == 2
        hub.faults = {"PUT /objects/": [(403, EXPIRED.replace("Request has expired", "Denied"))] * 9}
        hub.objects.clear()
        weights = (folder / "model.safetensors").read_bytes()
        (folder / "README.md").unlink()
        (folder / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
        assert "The Hub refused model.safetensors (403 Forbidden): Denied." in refusal(folder)

    def test_another_refusal_in_the_same_word(self, hub: Hub, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Only addresses of large files are asked for anew."""
        hub.faults = {"POST .*/commit/": [(403, "Your trial has expired")] * 9}
        assert "Your trial has expired" in refusal(folder)
        assert "Trying again" not in caplog.text

    def test_an_upload_that_stood_still(self, hub: Hub, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        hub.faults = {"PUT /objects/": [(400, STOOD_STILL)]}
        Destination(REPO).push(folder)
        assert "The Hub answered 400 (Your socket connection was idle). Trying again in 1 s." in caplog.text

    def test_it_is_busy(
        self, hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        waited: list[float] = []
        monkeypatch.setattr("time.sleep", waited.append)
        hub.faults = {
            "/preupload/": [(429, "128 commits an hour are the most.")],
            "/commit/": [(503, "Back soon")] * 9,
        }
        told = refusal(folder, ConnectionError)
        assert "The Hub answered 429 (128 commits an hour are the most). Trying again in 1 s." in caplog.text
        assert told.startswith(f"The Hub answered 503 (Back soon), 5 times. {MADE[:-1]}; push again later.")
        assert sum("/commit/" in asked for asked in hub.asked) == 5 and waited == [1, 1, 2, 4, 8]

    @pytest.mark.parametrize(
        ("headers", "wait"),
        [
            ({"RateLimit": '"api";r=0;t=55'}, 55),
            ({"RateLimit": '"api";r=3;t=55'}, 1),
            ({"Retry-After": "9999"}, 300),
            ({"Retry-After": "Mon, 30 Nov 2026 12:00:00 GMT"}, 1),
        ],
    )
    def test_it_says_for_how_long(
        self, headers: dict[str, str], wait: int, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waited: list[float] = []
        monkeypatch.setattr("time.sleep", waited.append)
        hub.faults = {"GET /api/models/": [(429, "Slowly", headers)]}
        Destination(REPO).prepare()
        assert waited == [wait]

    @pytest.mark.parametrize(
        "where", ["POST /api/repos/create", "GET /api/models/somebody/tiny/tree", "/preupload/", "/objects/batch"]
    )
    @pytest.mark.parametrize(
        "answer", [[3], {}, {"files": 3, "objects": [{"oid": "1", "size": 1, "actions": {"upload": {"href": "x"}}}]}]
    )
    def test_an_answer_that_cannot_be_read(
        self, answer: Any, where: str, hub: Hub, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        if isinstance(answer, dict) and re.search("create|tree", where):
            answer = [answer]  # an object is enough of an answer there
        hub.faults = {where: [answer] * 9}
        told = refusal(folder, ConnectionError)
        assert re.match(r"The Hub's answer to (GET|POST) \S+ couldn't be read, 5 times\. ", told), told
        assert where.split()[-1] in told and told.endswith("; push again later.")
        # The first try may ask something else before.
        assert all(where.split()[-1] in record.getMessage() for record in caplog.records)
        assert ("was made" in told) == ("create" not in where)

    def test_who_am_i(self, hub: Hub) -> None:
        hub.faults = {"whoami": [{}] * 5}
        with pytest.raises(ConnectionError, match="answer to GET /api/whoami-v2 couldn't be read, 5 times"):
            Destination("tiny").prepare()


class TestWhatIsThere:
    @pytest.mark.parametrize("content", [b"{not json", b'{"model_type": "\xe9"}'])
    def test_a_configuration_that_cannot_be_read(self, content: bytes, hub: Hub, folder: Path) -> None:
        hold(hub, {"config.json": content})
        told = refusal(folder)
        assert told.startswith(f"config.json of {REPO} can't be read (")
        assert told.endswith("Choose another --repo_id, or remove that file there.")
        assert hub.files(REPO) == {"config.json": content}

    def test_only_what_differs_is_sent(self, hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Destination(REPO).push(folder)
        read = Path.read_bytes

        def read_small(file: Path) -> bytes:
            assert file.suffix != ".safetensors", "the weights were read whole"
            return read(file)

        monkeypatch.setattr(Path, "read_bytes", read_small)
        hub.asked.clear()
        (folder / "coverage.json").write_text("{}")
        Destination(REPO).push(folder)
        assert hub.files(REPO)["coverage.json"] == b"{}" and not [one for one in hub.asked if "/objects/" in one]

    @pytest.mark.parametrize("revision", ["", "  "])
    def test_an_empty_revision(
        self, revision: str, hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["push", "--model", str(folder), "--repo_id", REPO, f"--revision={revision}"]) == 1
        assert "The revision is empty. Name a branch, or leave the option out" in capsys.readouterr().err
        assert not hub.asked
