"""What `glove-bilstm push` refuses to publish."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from loopback_hub import WRITER

from glove_bilstm.hub import scan
from glove_bilstm.hub.push import plan_push
from glove_bilstm.vectors.errors import InputError


@pytest.fixture
def folder(model: Path, tmp_path: Path) -> Path:
    """A model folder of one's own."""
    return Path(shutil.copytree(model, tmp_path / "model"))


class TestScan:
    @pytest.mark.parametrize("name", ["README.md", "config.json", "all_results.json", "modeling_glove_bilstm.py"])
    @pytest.mark.parametrize(
        ("text", "what"),
        [
            (WRITER, "a secret"),
            ("/home/me/reviews.csv", "a path of this machine"),
            ("C:\\\\Users\\\\me", "a path of this machine"),
        ],
    )
    def test_secrets_and_paths(self, name: str, text: str, what: str, folder: Path) -> None:
        content = (folder / name).read_text()
        comment = f'"note": "{text}",' if name.endswith(".json") else f"# {text}"
        before, newline, rest = content.partition("\n")
        (folder / name).write_text(f"{before}\n{comment}\n{rest}")
        with pytest.raises(InputError, match=f"{name}, line 2, holds {what}"):
            plan_push(folder)

    @pytest.mark.parametrize(
        "text",
        [
            "github_pat_" + "11ABCDEFG0abcdefghijkl_mnopq", "-----BEGIN OPENSSH PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----", "glpat-" + "abcdefghij0123456789", "AIza" + "SyA12345678" * 3 + "90",
            "xoxb-" + "1234567890-abcdefghijkl", "sk-proj-" + "Abcdefghij0123456789", "sk-" + "0123456789abcdef" * 2,
        ],
    )  # fmt: skip
    def test_other_secrets(self, text: str, folder: Path) -> None:
        (folder / "README.md").write_text(f"# mine\n\n`key={text}`\n")
        with pytest.raises(InputError, match="README.md, line 3, holds a secret") as refused:
            plan_push(folder)
        assert text not in str(refused.value)

    @pytest.mark.parametrize(
        "path",
        [
            "/home/me", "/home/.x", "file:///home/me/x", "path:/home/me/x", "~/.ssh/id", "/content/drive/MyDrive/x",
            "/kaggle/working/x", "/opt/me/data", "/private/var/folders/x", "/gpfs/me", "/nfs/me/x", "/run/user/1000",
            "D:\\data\\me", "D:\\\\data\\\\me", "D:/data/me", "/root/.cache", "/data/me/x.csv", "/work/me/x",
            "c:\\Users\\me\\x", "D:\\training\\runs\\x",
        ],
    )  # fmt: skip
    def test_other_paths(self, path: str, folder: Path) -> None:
        (folder / "README.md").write_text(f'# mine\n\n- text: "{path}"\n')
        with pytest.raises(InputError, match="README.md, line 3, holds a path of this machine") as refused:
            plan_push(folder)
        assert "Take it out of the file first; a text that a card only quotes may be shortened there." in str(
            refused.value
        )

    def test_where_the_model_and_the_user_are(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        there = Path(shutil.copytree(folder, folder.parent / "odd" / "model"))
        monkeypatch.setattr(scan, "LOCAL_PATHS", re.compile("(?!)"))  # which would find it here
        monkeypatch.chdir(folder)
        for text in (there, there.parent / "x.csv", str(folder).replace("/", "\\\\"), f"file://{folder}"):
            (there / "README.md").write_text(f"# mine\n{text}\n")
            with pytest.raises(InputError, match="README.md, line 2, holds a path of this machine"):
                plan_push(there)
        (there / "README.md").write_text(f"# mine\n{folder}s https://host{folder}\n")
        plan_push(there)

    def test_texts_that_only_look_like_it(self, folder: Path) -> None:
        texts = """balance of family /work/life, news /media/press and /data, either/or /root/cause
            https://host/home/me s3://bucket/tmp/x ../home/x and/or/work/life/balance http://host:80/var/x
            sk-learn-compatible-estimators-all task-specific-pretraining-0 hf_hub_download AKIA xoxo-xoxo
            so sad D: / and C:/ or D:\\ or a:b -----BEGIN PUBLIC KEY----- at noon: a:/b/c
            GET /data/items.json ](/media/logo.png)"""
        (folder / "README.md").write_text(texts)
        assert "README.md" in plan_push(folder).files

    def test_the_end_of_a_line_in_json_is_no_folder(self, folder: Path) -> None:
        (folder / "all_results.json").write_text(json.dumps({"text": "Q:\nfoo\nbar"}))
        assert "all_results.json" in plan_push(folder).files
        (folder / "all_results.json").write_text(json.dumps({"text": "D:\\new\\runs"}))
        with pytest.raises(InputError, match="all_results.json, line 1, holds a path of this machine"):
            plan_push(folder)

    def test_a_picture_that_is_none(self, folder: Path) -> None:
        picture = (folder / "reliability.png").read_bytes()
        (folder / "reliability.png").write_bytes(b"\x80\x04\x95" + WRITER.encode())
        with pytest.raises(InputError, match="reliability.png is no PNG"):
            plan_push(folder)
        (folder / "reliability.png").write_bytes(picture + WRITER.encode())
        with pytest.raises(InputError, match="reliability.png, line .* holds a secret"):
            plan_push(folder)

    def test_metadata_of_weights(self, folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        weights = folder / "model.safetensors"
        save_file(load_file(weights), weights, {"format": "pt", "from": "/home/me/run"})
        with pytest.raises(InputError, match="model.safetensors, line 1, holds a path of this machine"):
            plan_push(folder)

    def test_a_pickle_under_another_name(self, folder: Path) -> None:
        torch.save({"weight": torch.zeros(3)}, folder / "model.safetensors")
        with pytest.raises(InputError, match="not in the safetensors format"):
            plan_push(folder)

    def test_a_card_in_another_encoding(self, folder: Path) -> None:
        (folder / "README.md").write_text("# mine", encoding="utf-16")
        with pytest.raises(InputError, match=r"README\.md isn't UTF-8 text"):
            plan_push(folder)

    def test_words_may_look_like_paths(self, folder: Path) -> None:
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        tokenizer["model"]["vocab"]["/home/me"] = 999
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer, indent=1))
        assert "tokenizer.json" in plan_push(folder).files

    def test_the_users_own_token_whatever_it_looks_like(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_TOKEN", "oauth-abcdefgh")
        (folder / "README.md").write_text("# mine\n\ncurl -H 'Authorization: Bearer oauth-abcdefgh'\n")
        with pytest.raises(InputError, match="README.md, line 3, holds a secret") as refused:
            plan_push(folder)
        assert "oauth-abcdefgh" not in str(refused.value)
