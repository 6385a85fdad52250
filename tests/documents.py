"""Documents whose code blocks the tests run."""

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def code_blocks(text: str) -> list[tuple[str, str]]:
    """The code blocks of a Markdown text: language and content."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def reader_environment(home: Path) -> dict[str, str]:
    """What a reader's shell has, and nothing of the tests' own. (A checkout may be on the path, not installed.)"""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(home),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }
