"""Tables in Markdown."""


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a table."""
    return ["| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows]]
