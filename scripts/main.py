"""`glove-bilstm <verb>`: picks the script of a verb."""

import sys
from collections.abc import Sequence
from importlib import import_module

VERBS = {
    "train": ("train", "train a text classifier on a data set and word vectors"),
    "evaluate": ("evaluate_model", "measure a trained model on a labelled data set"),
    "predict": ("predict", "label texts, given as arguments or in a file"),
    "export": ("export", "write a trained model as ONNX, to be run without torch"),
    "push": ("push_to_hub", "put a trained model on the Hugging Face Hub"),
    "coverage": ("coverage", "show how much of a data set the word vectors cover"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb that the arguments begin with."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb = arguments[0] if arguments else "--help"
    if verb in VERBS:
        return import_module(f"glove_bilstm.scripts.{VERBS[verb][0]}").main(arguments[1:])
    if verb == "--version":
        from importlib.metadata import version

        print(version("glove-bilstm"))
        return 0
    usage = "usage: glove-bilstm <verb> [options]     (glove-bilstm <verb> --help for its options)\n"
    table = "\n".join(f"  {name:<10} {what}" for name, (_, what) in VERBS.items())
    if verb in ("--help", "-h"):
        begin = (
            "To begin, on the bundled reviews: glove-bilstm train --output_dir my-model     (--version: which this is)"
        )
        print(f"{usage}\n{table}\n\n{begin}")
        return 0
    print(f"{usage}\nThere is no verb {verb!r}; there are:\n{table}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
