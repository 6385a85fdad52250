"""What was met while reading a vectors file."""

from dataclasses import asdict, dataclass, field
from typing import Any

from glove_bilstm.vectors.errors import InputError

SHOWN = 5
"""How many malformed rows a report shows."""


@dataclass
class ReadReport:
    r"""What the reader of a vectors file did.

    Attributes:
        file: The file's name.
        format: Of the file's content, in words.
        rows_read: Rows that were looked at.
        rows_kept: Rows whose vectors were wanted and are now held.
        duplicates: Wanted rows left out because their word had one already; the first wins.
        malformed: Wanted rows left out because they aren't a word and its numbers.
        malformed_rows: The first few of them: row number in the file, counted from 1, and the reason.
        undecodable: Words that hold bytes that aren't UTF-8; those bytes are spelled ``\xe9``.
        header: What the file's header promised, (rows, dimension). None: it has none.
        header_lied: In words, how the file differs from its header. None: it doesn't, or has none.
        from_ngrams: Wanted words that the file doesn't hold, whose vectors were made from their character n-grams.
    """

    file: str
    format: str = ""
    rows_read: int = 0
    rows_kept: int = 0
    duplicates: int = 0
    malformed: int = 0
    malformed_rows: list[tuple[int, str]] = field(default_factory=list)
    undecodable: int = 0
    header: tuple[int, int] | None = None
    header_lied: str | None = None
    from_ngrams: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether the file was as it should be."""
        return not (self.malformed or self.undecodable or self.header_lied)

    def __str__(self) -> str:
        """The report in a few sentences."""
        sentences = [f"{self.file} ({self.format}): {self.rows_read:,} rows read, {self.rows_kept:,} kept"]
        if self.from_ngrams:
            sentences.append(f"{self.from_ngrams:,} made from character n-grams")
        if self.duplicates:
            sentences.append(f"{self.duplicates:,} duplicates left out (the first row of a word wins)")
        if self.malformed:
            shown = "; ".join(f"row {row:,}: {reason}" for row, reason in self.malformed_rows)
            more = "; …" if self.malformed > len(self.malformed_rows) else ""
            sentences.append(
                f"{self.malformed:,} malformed row{'s' if self.malformed > 1 else ''} left out ({shown}{more})"
            )
        if self.header_lied:
            sentences.append(self.header_lied)
        if self.undecodable:
            sentences.append(f"{self.undecodable:,} words with bytes that aren't UTF-8")
        return "; ".join(sentences) + "."

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ReadReport":
        """The report that `to_dict` gave, from JSON."""
        values = {**values, "malformed_rows": [tuple(row) for row in values["malformed_rows"]]}
        return cls(**{**values, "header": values["header"] and tuple(values["header"])})

    def add_malformed(self, row: int, reason: str) -> None:
        """Note a row that isn't a word and its numbers."""
        self.malformed += 1
        if len(self.malformed_rows) < SHOWN:
            self.malformed_rows.append((row, reason))

    def check_malformed(self, parsed: int) -> None:
        """Stop when more than a small share of the rows was malformed: 1 %, or five rows, of a small file fewer.

        Args:
            parsed: Rows that were parsed so far, malformed ones among them.

        Raises:
            InputError: There are too many; the first few are named with their reasons.
        """
        if self.malformed > max(parsed // 100, min(SHOWN, self.rows_read // 3)):
            shown = "; ".join(f"row {row:,}: {reason}" for row, reason in self.malformed_rows)
            raise InputError(
                f"{self.file}: {self.malformed:,} of {parsed:,} rows are malformed ({shown}). Every row must be a "
                "word and the same number of values; is the file damaged, or in another format?"
            )
