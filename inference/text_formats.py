"""Rows of txt, csv, tsv and jsonl: each with its columns, or with what is wrong with it."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import filterfalse
from typing import BinaryIO, TextIO

from glove_bilstm.inference.parquet import Row

Found = tuple[int, Row, str]
"""The number of a row, or of the line that it ends on; its columns; what is wrong with it, or nothing."""

JSON_SPACE = " \t\r\n"
"""What may stand between JSON's values: a line of it is none."""
SURROGATE = re.compile("[\ud800-\udfff]")
"""No character: what Python keeps of bytes that aren't UTF-8, and what a JSON escape may hold half of."""


@contextmanager
def _as_text(file: BinaryIO) -> Iterator[TextIO]:
    # Lines end at \n alone: texts may hold the other characters that str.splitlines() breaks at.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="\n")
    try:
        yield text
    finally:
        text.detach()  # the file isn't its own to close


def _read_txt(file: BinaryIO, column: str) -> Iterator[Found]:
    with _as_text(file) as lines:
        for number, line in enumerate(lines, 1):
            yield number, {column: line.rstrip("\r\n")}, ""


def _read_csv(file: BinaryIO, column: str, delimiter: str = ",") -> Iterator[Found]:
    csv.field_size_limit(sys.maxsize)
    taken: list[str] = []  # the lines of the row at hand

    def noted(lines: TextIO) -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    with _as_text(file) as lines:
        reader = csv.reader(noted(lines), delimiter=delimiter, strict=True)
        header = next(filterfalse(_is_blank, reader), [])
        if SURROGATE.search("".join(header)):
            raise csv.Error("the header isn't UTF-8; save the file as UTF-8")
        if len(set(header)) < len(header):
            raise csv.Error(f"a column name occurs twice: {', '.join(header)}")
        while True:
            begin = reader.line_num + 1
            taken.clear()
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                lost = f", and with it all up to line {reader.line_num:,}" if reader.line_num > begin else ""
                wrong = f"can't be read as {'csv' if delimiter == ',' else 'tsv'}: {error}{lost}."
                yield begin, {column: "".join(taken).rstrip("\r\n")}, wrong
                continue
            if not fields or (len(header) > 1 and _is_blank(fields)):  # of a single column, space is a text
                continue
            fits = len(fields) == len(header)
            wrong = "" if fits else f"has {len(fields)} fields, and the header {len(header)}."
            if more := fields[len(header) :]:
                wrong += f" Left over: {json.dumps(more, ensure_ascii=False)}."
            yield reader.line_num, dict(zip(header, fields, strict=False)), wrong


def _is_blank(fields: list[str]) -> bool:
    """Whether a line has nothing in it but space, as in training; a quoted nothing is a field."""
    return not fields or (len(fields) == 1 and fields[0].isspace())


def _read_jsonl(file: BinaryIO, column: str) -> Iterator[Found]:
    with _as_text(file) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip(JSON_SPACE):
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:  # a ValueError of its own for a number of 5,000 digits
                yield number, {column: line.rstrip("\r\n")}, f"isn't JSON: {error}."
                continue
            if isinstance(row, dict):
                yield number, row, ""
            else:
                wrong = 'isn\'t an object with columns, such as {"text": "…"}.'
                yield number, {column: line.rstrip("\r\n")}, wrong


READERS: dict[str, Callable[[BinaryIO, str], Iterator[Found]]] = {
    "txt": _read_txt,
    "csv": _read_csv,
    "tsv": partial(_read_csv, delimiter="\t"),
    "jsonl": _read_jsonl,
}
"""Format of text → what reads it, given the file and the column for a line that has no columns."""
