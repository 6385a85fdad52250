"""What a user does with a trained folder: load it through `pipeline()` and classify a handful of sentences."""

import sys
from collections.abc import Sequence

from glove_bilstm.scripts.tables import text_table

SENTENCES = [
    "Not bad at all, I'd happily go back.",
    "Thin plot, but I loved every minute.",
    "The battery died on day two and nobody answers the phone.",
    "Great, another update that deletes my notes.",
    "The soup was lovely and the staff couldn't have been kinder.",
    "It isn't worth half of what they charge.",
]


def main(argv: Sequence[str] | None = None) -> int:
    """Print what the model in the folder given says about each sentence."""
    (folder,) = sys.argv[1:] if argv is None else argv

    from transformers import pipeline
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    classify = pipeline("text-classification", model=folder)
    rows = [
        [text, answer["label"], f"{answer['score']:.2f}"]
        for text, answer in zip(SENTENCES, classify(SENTENCES), strict=True)
    ]
    print(text_table(["text", "label", "score"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
