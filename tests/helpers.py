"""Small things that several test files do."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from pathlib import Path
from typing import Any

TINY = [
    "--recipe",
    "classic",
    "--hidden_size",
    "6",
    "--num_train_epochs",
    "2",
    "--learning_rate",
    "0.02",
    "--use_cpu",
    "True",
]
"""Flags of `glove-bilstm train` with which it takes a second."""
GOOD = ["good", "great", "lovely", "superb", "fine"]
BAD = ["bad", "awful", "dull", "poor", "weak"]
FILLERS = ["the", "film", "plot", "was", "a", "really", "and", "it", "acting", ",", "."]
"""The words of the tiny data and vectors."""


def write_jsonl(file: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as JSON lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


@contextmanager
def serving(server: HTTPServer) -> Iterator[str]:
    """Let a server answer in the background; its address."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


def run(*command: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a new process."""
    # No standard input: a question that should not be asked fails at once.
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL, **options,
    )  # fmt: skip
