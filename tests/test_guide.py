"""Every code block of the guide runs as it stands and prints what stands below it."""

import math
import re
import sys
from pathlib import Path

import pytest
from documents import ROOT, code_blocks, reader_environment
from helpers import run

GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
PARTS = re.split(r"^(?=## )", GUIDE, flags=re.MULTILINE)[1:]
NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?")
SEPARATOR = "\x1e\n"
"""Printed between the outputs of two blocks."""


def with_outputs(part: str) -> list[tuple[str, str, str]]:
    """The blocks that run: language, code, and the text block below, which is what it prints."""
    blocks = code_blocks(part)
    return [
        (language, code, below[1] if below[0] == "text" else "")
        for (language, code), below in zip(blocks, [*blocks[1:], ("", "")], strict=True)
        if language != "text"
    ]


def near(printed: str, shown: str) -> bool:
    """Whether two numbers are the same as far as it doesn't hang on the CPU; whole ones don't hang on it.

    With torch's unvectorised kernels an accuracy came out one text of 448 away, and a deviation two thousandths.
    """
    one, other = (float(number.replace(",", "")) for number in (printed, shown))
    if "." not in shown or "e" in shown:
        return math.isclose(one, other, rel_tol=0, abs_tol=1e-6)
    last_digit = 10 ** -len(shown.partition(".")[2])
    return math.isclose(one, other, rel_tol=0.01, abs_tol=3.5 * last_digit)


def same(printed: str, shown: str) -> bool:
    """Whether two lines are the same but for the width of columns and what `near` allows."""
    words = [NUMBER.sub("#", line).split() for line in (printed, shown)]
    return words[0] == words[1] and all(map(near, NUMBER.findall(printed), NUMBER.findall(shown)))


def test_there_are_four_parts_and_each_output_has_its_block() -> None:
    assert len(PARTS) == 4
    for part in PARTS:
        languages = [language for language, _ in code_blocks(part)]
        assert set(languages) <= {"python", "bash", "text"}
        assert languages[0] != "text" and ("text", "text") not in zip(languages, languages[1:], strict=False)


@pytest.mark.parametrize("number", range(1, 5))
def test_the_text_has_no_figure_of_its_own(number: int) -> None:
    """Each figure stands in a block of the same part; headings, code in the line and link targets aren't figures."""
    part = PARTS[number - 1]
    prose = re.sub(r"^```.*?^```$|^#.*?$|`[^`]*`|\]\([^)]*\)", "", part, flags=re.DOTALL | re.MULTILINE)
    blocks = "\n".join(content for _, content in code_blocks(part))
    assert set(NUMBER.findall(prose)) <= set(NUMBER.findall(blocks))


@pytest.mark.parametrize(
    ("printed", "shown", "expected"),
    [
        ("accuracy  0.763", "accuracy   0.761", True),
        ("accuracy 0.763", "accuracy 0.752", False),
        ("sd 0.013", "sd 0.015", True),
        ("sd 0.013", "sd 0.018", False),
        ("3,962 words", "3,961 words", False),
        ("3,962 words", "3,962 types", False),
        ("largest 2.4e-07", "largest 0.0e+00", True),
        ("largest 2.4e-03", "largest 0.0e+00", False),
    ],
)
def test_lines_are_compared(printed: str, shown: str, expected: bool) -> None:
    assert same(printed, shown) == expected


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 5))
def test_the_blocks_of_a_part_print_what_stands_below_them(number: int, tmp_path: Path) -> None:
    """One session a part, as the guide says, in a folder that holds what a clone does."""
    clone = tmp_path / "clone"
    clone.mkdir()
    for folder in ("src", "benchmarks"):
        (clone / folder).symlink_to(ROOT / folder)
    blocks = with_outputs(PARTS[number - 1])
    session = "".join(
        (code if language == "python" else f"__import__('subprocess').run(['bash', '-euc', {code!r}], check=True)")
        + f"\nprint({SEPARATOR!r}, end='', flush=True)\n"
        for language, code, _ in blocks
    )
    done = run(sys.executable, "-c", session, cwd=clone, env=reader_environment(tmp_path))
    assert done.returncode == 0, done.stderr
    outputs = done.stdout.split(SEPARATOR)[:-1]
    for (_, code, shown), printed in zip(blocks, outputs, strict=True):
        lines = printed.splitlines(), shown.splitlines()
        assert len(lines[0]) == len(lines[1]), f"{code}\nprinted:\n{printed}"
        for pair in zip(*lines, strict=True):
            assert same(*pair), f"{code}\nprinted {pair[0]!r}, and the guide shows {pair[1]!r}"
