"""`glove-bilstm export`: a trained model as ONNX, small, checked, and independent of torch."""

import argparse
import os
import re
import sys
from pathlib import Path

from glove_bilstm.scripts.shared import command, make_parser, need, positive, user_path

SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kM]?)B", re.IGNORECASE)


def size(text: str) -> int:
    """Bytes, of a size such as 5MB or 800 kB."""
    match = SIZE.fullmatch(text.strip())
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 5MB or 800kB")
    return int(float(match[1]) * {"": 1, "k": 1e3, "m": 1e6}[match[2].lower()])


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return number


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of this verb."""
    parser = make_parser(
        "export",
        "Write a trained model as ONNX, with all that a server needs: numpy, onnxruntime and tokenizers run it.\n"
        "It is compared with the model in torch on texts of --dataset, and isn't written if too much is lost.",
    )
    parser.add_argument("--model", required=True, help="folder or Hub id of the model")
    parser.add_argument("--output", type=user_path, required=True, help="folder to write, such as MODEL/onnx")
    parser.add_argument("--quantize", choices=("int8",), default=None, help="int8 in the LSTM, and in the embedding")
    parser.add_argument(
        "--embedding_dtype",
        choices=("float32", "float16", "int8"),
        default=None,
        help="of the embedding in the file (default: float32, or int8 with --quantize int8)",
    )
    parser.add_argument(
        "--vocabulary_size",
        type=positive,
        default=None,
        metavar="N",
        help="keep the N most frequent words, special tokens included; others become unknown (default: all)",
    )
    parser.add_argument(
        "--target_size",
        type=size,
        default=None,
        metavar="SIZE",
        help="choose those three by measured accuracy so that the folder is no larger than this, such as 5MB; if the "
        "best of them loses more than --max_accuracy_drop, nothing is written but the curve",
    )
    parser.add_argument(
        "--max_accuracy_drop",
        type=share,
        default=0.01,
        metavar="DROP",
        help="how much accuracy (macro F1 of several labels, R² of a regressor) may be lost (default: 0.01)",
    )
    parser.add_argument(
        "--dataset",
        default=None,
        help="labelled texts to measure it on, best those that the model was validated with: Hub id, folder or file "
        "(default: the bundled demo's texts, on which it is compared with the model in torch alone)",
    )
    parser.add_argument(
        "--split", default=None, help="which of its splits; default: validation, or the only one there is"
    )
    parser.add_argument("--text_column", default="text", help="column of texts; default: text")
    parser.add_argument("--text_pair_column", default=None, help="column of second texts, for a model of pairs")
    parser.add_argument("--label_column", default="label", help="column of labels; default: label")
    options = parser.parse_args(argv)
    if options.target_size and (options.quantize or options.embedding_dtype or options.vocabulary_size):
        parser.error("--target_size chooses --quantize, --embedding_dtype and --vocabulary_size itself")
    return options


def run(argv: list[str]) -> None:
    """Export, and print what it costs."""
    options = parse(argv)
    need("onnx", "onnxruntime")

    from tqdm.auto import tqdm
    from transformers.utils.logging import disable_progress_bar

    from glove_bilstm.hub.hashes import hash_of
    from glove_bilstm.inference.bulk import as_references
    from glove_bilstm.inference.export import Variant, export_model, make_check
    from glove_bilstm.inference.export_folder import check_replaceable
    from glove_bilstm.inference.loading import load_classifier, model_folder
    from glove_bilstm.inference.pairs import check_pairs
    from glove_bilstm.inference.size_budget import best_within, candidates, draw_curve, measure_variants
    from glove_bilstm.scripts.tables import curve_table, export_table, size_text
    from glove_bilstm.training.labels import read_known_labels
    from glove_bilstm.training.metrics import label_names
    from glove_bilstm.training.splits import find_split, is_file_alone

    disable_progress_bar()
    check_replaceable(options.output)  # before minutes of work
    split = find_split(options.dataset or "demo", options.split, "validation")
    texts = split.inputs(options.text_column, options.text_pair_column)
    model, tokenizer = load_classifier(options.model, "float32")
    check_pairs(tokenizer.sep_token, pairs=options.text_pair_column is not None)
    references = None
    if options.dataset is not None:
        known = label_names(model.config)
        labels = read_known_labels(split, options.label_column, known, model.config.problem_type)
        references = as_references(labels, model.config)
    # That of a link, not of what it leads to: in a cache, it is a hash.
    name = Path(os.path.abspath(user_path(options.dataset))).name if options.dataset else "the demo"
    source = name if options.dataset and is_file_alone(options.dataset) else f"{name}, {split.name}"
    check = make_check(model, tokenizer, tqdm(texts, desc="torch", unit="text", disable=None), references, source)

    if options.target_size is None:
        variant = Variant(
            options.vocabulary_size, options.embedding_dtype or options.quantize or "float32", options.quantize
        )
    else:
        variants = candidates(model, tokenizer, options.target_size)
        measuring = measure_variants(model, tokenizer, variants, check)
        points = list(tqdm(measuring, total=len(variants), desc="measuring", unit="variant", disable=None))
        chosen = best_within(points, options.target_size)
        print(f"{curve_table(points, chosen)}\n")
        picture = options.output.with_name(f"{options.output.name}-sizes.png")
        picture.parent.mkdir(parents=True, exist_ok=True)
        draw_curve(points, chosen, options.target_size, picture)
        print(f"A picture of it is in {picture}.\n")
        variant = chosen.variant
    weights = model_folder(options.model) / "model.safetensors"
    sha256 = hash_of(weights) if weights.is_file() else None
    measured = export_model(model, tokenizer, variant, options.output, check, options.max_accuracy_drop, sha256)
    print(export_table(measured))
    written = sum(file.stat().st_size for file in options.output.iterdir())
    print(f"\nSaved in {options.output}: {variant}; {size_text(written)}.")


main = command(run)

if __name__ == "__main__":
    sys.exit(main())
