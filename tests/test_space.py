"""The Space's page: what it says of a text, in a real browser, and that it can be pushed."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import torch
from helpers import run
from loopback_hub import serve_hub
from transformers import AutoTokenizer, pipeline

from glove_bilstm import GloveBiLSTMConfig, GloveBiLSTMForSequenceClassification
from glove_bilstm.tokenization.word_level import build_tokenizer

pytestmark = pytest.mark.space
SPACES = Path(__file__).parent.parent / "spaces"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
TEXT = "a good film , and a really awful plot"


@pytest.fixture(scope="module")
def app() -> Any:
    pytest.importorskip("gradio", reason="make test-space installs gradio")
    import importlib.util

    spec = importlib.util.spec_from_file_location("space_app", SPACES / "app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save(folder: Path, model: Path, **options: Any) -> str:
    """A model of another task, with the tokenizer of the tiny one."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    torch.manual_seed(1)
    config = GloveBiLSTMConfig(vocab_size=len(tokenizer), embedding_dim=7, hidden_size=5, **options)
    GloveBiLSTMForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


class TestExplainer:
    def test_the_answer_is_the_pipelines(self, app: Any, model: Path) -> None:
        answer, marked = app.Explainer(str(model)).explain(TEXT)
        scores = pipeline("text-classification", model=str(model), device="cpu", top_k=None)([TEXT])[0]
        assert answer == pytest.approx({score["label"]: score["score"] for score in scores}, abs=1e-6)
        words = [TEXT[one["start"] : one["end"]] for one in marked["entities"]]
        assert words == TEXT.split() and marked["text"] == TEXT

    def test_a_words_weight_is_what_is_lost_without_it(self, app: Any, model: Path) -> None:
        explainer = app.Explainer(str(model))
        answer, marked = explainer.explain(TEXT)
        best = max(answer, key=answer.__getitem__)
        words = TEXT.split()
        lost = [
            answer[best] - explainer.explain(" ".join(words[:place] + words[place + 1 :]))[0][best]
            for place in range(len(words))
        ]
        largest = max(map(abs, lost))
        assert [one["entity"] for one in marked["entities"]] == pytest.approx([x / largest for x in lost], abs=1e-4)

    def test_other_tasks(self, app: Any, model: Path, tmp_path: Path) -> None:
        names = {0: "joy", 1: "grief", 2: "fear"}
        several = save(tmp_path / "several", model, id2label=names, problem_type="multi_label_classification")
        answer, _ = app.Explainer(several).explain(TEXT)
        scores = {label.removeprefix("✓ "): score for label, score in answer.items()}
        assert set(scores) == set(names.values()) and sum(scores.values()) != pytest.approx(1, abs=1e-3)
        assert all(label.startswith("✓") == (score >= 0.5) for label, score in answer.items())
        thresholds = [scores["joy"], 1.0, scores["fear"] / 2]
        own = save(tmp_path / "own", model, id2label=names, problem_type="multi_label_classification",
                   thresholds=thresholds)  # fmt: skip
        assert set(app.Explainer(own).explain(TEXT)[0]) == {"✓ joy", "grief", "✓ fear"}
        value = save(tmp_path / "value", model, id2label={0: "stars"}, problem_type="regression", target_mean=3.0)
        answer, marked = app.Explainer(value).explain(TEXT)
        assert answer.startswith("stars: ") and len(marked["entities"]) == len(TEXT.split())

    def test_pairs(self, app: Any, tmp_path: Path) -> None:
        tokenizer = build_tokenizer(["<pad>", "<unk>", "<sep>", "good", "bad", "film"])
        torch.manual_seed(1)
        config = GloveBiLSTMConfig(vocab_size=len(tokenizer), embedding_dim=7, hidden_size=5)
        GloveBiLSTMForSequenceClassification(config).save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        explainer = app.Explainer(str(tmp_path))
        assert explainer.reads_pairs
        answer, marked = explainer.explain("good film", "bad one")
        scores = pipeline("text-classification", model=str(tmp_path), device="cpu", top_k=None)(
            {"text": "good film", "text_pair": "bad one"}
        )
        assert answer == pytest.approx({score["label"]: score["score"] for score in scores}, abs=1e-6)
        assert [marked["text"][one["start"] : one["end"]] for one in marked["entities"]] == [
            *("good", "film", "bad", "one")
        ]
        assert explainer.explain("", "")[1] == {"text": "\n", "entities": []}

    @pytest.mark.parametrize("text", ["", "   ", "word", "good " * 300, "good " * 3_000])
    def test_any_text(self, text: str, app: Any, model: Path) -> None:
        answer, marked = app.Explainer(str(model)).explain(text)
        assert sum(answer.values()) == pytest.approx(1)
        words = len(text.split())
        # Of a long text fewer, for each of them takes reading all of it.
        assert len(marked["entities"]) == min(words, app.LONGEST, app.MOST_READ // max(words, 1))


@pytest.fixture(scope="module")
def page(app: Any, model: Path) -> Iterator[Any]:
    pytest.importorskip("playwright", reason="make test-space installs playwright")
    if BROWSER is None:
        pytest.skip("there is no chromium; make test-space installs it")
    from playwright.sync_api import sync_playwright

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, SPACES / "app.py", "--model", model, "--port", str(port)]
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"}
    server = subprocess.Popen([str(part) for part in command], env=environment, stdout=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(address, server)
        with sync_playwright() as started:
            # Chromium refuses to be sandboxed as root, which containers are.
            browser = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(address)
            yield page
            browser.close()
    finally:
        server.terminate()
        server.wait(30)


class TestBrowser:
    def test_a_text_is_classified_and_its_words_marked(self, page: Any, model: Path) -> None:
        best = pipeline("text-classification", model=str(model), device="cpu")(TEXT)[0]
        page.get_by_label("Text").fill(TEXT)
        page.get_by_role("button", name="Submit").click()
        page.get_by_test_id("label-output-value").wait_for(timeout=30_000)
        assert page.get_by_test_id("label-output-value").inner_text().strip() == best["label"]
        body = page.inner_text("body")
        assert f"{round(100 * best['score'])}%" in body
        marks = page.locator(".score-token.highlighted")
        assert [mark.strip() for mark in marks.all_inner_texts()] == TEXT.split()
        colours = marks.evaluate_all("marks => marks.map(mark => getComputedStyle(mark).backgroundColor)")
        assert len(set(colours)) > 2


def wait_for(address: str, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while True:
        assert server.poll() is None, "the app has stopped"
        try:
            urlopen(address, timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the app doesn't answer"
            time.sleep(0.2)


def test_pushed_as_a_space(tmp_path: Path) -> None:
    hf = Path(sys.executable).with_name("hf")
    with serve_hub() as hub:
        environment = {**os.environ, **hub.environment(tmp_path), "HF_HUB_OFFLINE": "0"}
        made = run(hf, "repos", "create", "somebody/moods", "--repo-type", "space", "--space-sdk", "gradio",
                   env=environment)  # fmt: skip
        assert made.returncode == 0, made.stderr
        done = run(hf, "upload", "somebody/moods", SPACES, "--repo-type", "space", env=environment)
        assert done.returncode == 0, done.stderr
        assert {"app.py", "README.md", "requirements.txt"} <= set(hub.files("somebody/moods"))
