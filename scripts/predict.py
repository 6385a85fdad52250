"""`glove-bilstm predict`: label texts."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glove_bilstm.scripts.shared import add_computing, command, make_parser, need, positive, user_path

if TYPE_CHECKING:
    from glove_bilstm.inference.backends import Backend
    from glove_bilstm.inference.reading import TextFile

logger = logging.getLogger("glove_bilstm")  # also where this file is run by itself, and is called "__main__"
PIPE = Path("-")
TEXT_COLUMN = "text"


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of this verb."""
    parser = make_parser(
        "predict",
        "Label texts, given as arguments, as a file or through a pipe.\n"
        "Files: .txt (one text a line), .csv, .tsv, .jsonl or .parquet. The output has the input's columns and two\n"
        "more, prediction and score (a .txt output has the predictions alone). Of a multi-label model they are the\n"
        "list of labels that apply and the list of their probabilities (in .csv, .tsv and .txt: JSON arrays). Of a\n"
        "regression model there is prediction alone, the number. In .txt a label of several lines is a JSON string.\n"
        "\n"
        "A job that was cut off, by whatever, goes on where it was when the same command is given again. Under "
        "torchrun each\nprocess reads its share of the rows, and writes OUTPUT-00000-of-00002 and so on, to be put "
        "together in that order.",
    )
    parser.add_argument("texts", nargs="*", default=[], help="texts to label")
    parser.add_argument("--model", required=True, help="folder or Hub id of the model")
    parser.add_argument(
        "--input",
        type=user_path,
        default=None,
        help="file of texts; - for standard input, whose answers come when 50 times --batch_size texts, or all, are "
        "read",
    )
    parser.add_argument(
        "--output",
        type=user_path,
        default=None,
        help="file to write; - for standard output, which is the default",
    )
    parser.add_argument(
        "--format",
        choices=("txt", "csv", "tsv", "jsonl"),
        default=None,
        help="of standard input and output (default: that of the file on the other side, or txt)",
    )
    parser.add_argument("--text_column", default=TEXT_COLUMN, help="column of texts; default: text")
    parser.add_argument("--text_pair_column", default=None, help="column of second texts, for a model of pairs")
    parser.add_argument(
        "--on_error",
        choices=("stop", "skip"),
        default="stop",
        help="at a row that can't be read, stop (what was answered before is kept), or pass it through without a "
        "prediction, with the reason, and what of it has no column, in a column error (default: stop)",
    )
    parser.add_argument(
        "--backend",
        choices=("torch", "onnx"),
        default=None,
        help="what the model runs in; onnx takes what `glove-bilstm export` wrote (default: as the folder is)",
    )
    parser.add_argument(
        "--num_workers",
        type=positive,
        default=None,
        help="batches read at the same time, each by one thread (default: one for each core)",
    )
    add_computing(parser)
    parser.add_argument(
        "--batch_size", type=positive, default=128, help="texts in one forward pass, at most; default: 128"
    )
    options = parser.parse_args(argv)
    if bool(options.texts) == bool(options.input):
        parser.error("give either texts or --input")
    if options.output and not options.input:
        parser.error("--output is for what --input names")
    if options.input and options.output is None:
        options.output = PIPE
    if options.input == PIPE and sys.stdin is None:
        parser.error("standard input is closed; name a file by --input")
    if options.output in (None, PIPE) and sys.stdout is None:
        parser.error("standard output is closed; name files by --input and --output")
    if options.text_pair_column and not options.input:
        parser.error("--text_pair_column names a column of --input")
    if options.format and PIPE not in (options.input, options.output):
        parser.error("--format is that of standard input or output; the name of a file tells its own")
    for text in options.texts:
        if any("\ud800" <= character <= "\udfff" for character in text):  # what Python keeps of other bytes
            parser.error(f"{text!r} isn't UTF-8; save it in a file as UTF-8, and name that with --input")
    exported = (Path(options.model) / "model.onnx").is_file()
    options.backend = options.backend or ("onnx" if exported else "torch")
    if options.backend == "onnx" and options.dtype != "auto":
        parser.error("--dtype is torch's; choose an exported model's when you export it")
    if options.backend == "onnx" and options.device not in ("auto", "cpu"):
        parser.error("--device is torch's; an exported model computes on the CPU")
    return options


def run(argv: list[str]) -> None:
    """Predict, and print or write."""
    options = parse(argv)

    if options.texts:
        from glove_bilstm.scripts.tables import answers_table

        model = load(options, pairs=False)
        answers = list(model.classify(options.texts, options.batch_size))
        print(answers_table(options.texts, answers, model.problem_type))
        return

    from tqdm.auto import tqdm

    from glove_bilstm.inference.jobs import Job, run_job, shard
    from glove_bilstm.vectors.errors import InputError

    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    for module in ("jobs", "journal"):  # each process tells of its own rows
        logging.getLogger(f"glove_bilstm.inference.{module}").setLevel(logging.WARNING if rank else logging.NOTSET)
    source, target = files(options, rank, world)
    if world > 1 and (source.path is None or target.path is None):
        raise InputError("Several processes read a file and write files; a pipe is for one.")
    columns = [options.text_column, *([options.text_pair_column] if options.text_pair_column else [])]
    model = load(options, pairs=len(columns) == 2)
    job = Job(
        source=source,
        target=target,
        text_columns=columns,
        problem_type=model.problem_type,
        on_error=options.on_error,
        identity={"model": model.state, "backend": options.backend, "dtype": options.dtype},
        rows=shard(source, rank, world) if world > 1 else None,
        batch_size=options.batch_size,
    )

    def progress(items: Iterable[Any], **counts: Any) -> Iterable[Any]:
        return tqdm(items, unit="text", disable=True if rank else None, **counts)

    run_job(job, model.classify, progress)


def files(options: argparse.Namespace, rank: int, world: int) -> tuple[TextFile, TextFile]:
    """What is read, and what is written; each of several processes writes a file of its own."""
    from glove_bilstm.inference.reading import PIPED_FORMATS, TextFile
    from glove_bilstm.vectors.errors import InputError

    output = options.output
    if world > 1 and output != PIPE:
        output = output.with_name(f"{output.stem}-{rank:05}-of-{world:05}{output.suffix}")
    named = [None if path == PIPE else TextFile.at(path) for path in (options.input, output)]
    piped = options.format or next((file.format for file in named if file is not None), "txt")
    if None in named and piped not in PIPED_FORMATS:
        raise InputError(f"A pipe can't hold {piped}; name another with --format, such as jsonl.")
    source, target = (TextFile(None, piped) if file is None else file for file in named)
    if target.path is not None and target.path.is_symlink():  # else the new file would take the link's place
        target = TextFile(Path(os.path.realpath(target.path)), target.format)
    if source.path is None and options.format is None:
        logger.info(f"Standard input is read as {piped}; --format tells otherwise.")
    if source.format == "txt" and (options.text_column != TEXT_COLUMN or options.text_pair_column):
        what = "Standard input is read as txt, which" if source.path is None else f"{source.path}, a text file,"
        raise InputError(f"{what} has no columns. Leave out --text_column, or give the format by --format csv.")
    if source.path and target.path and target.path.exists() and target.path.samefile(source.path):
        raise InputError(f"--output {output} is the file to read, which would be replaced. Name another.")
    return source, target


def load(options: argparse.Namespace, pairs: bool) -> Backend:
    """The model, in what is to run it."""
    from glove_bilstm.inference.backends import load_exported, load_trained

    if options.backend == "onnx":
        need("onnxruntime")
        return load_exported(options.model, pairs, options.num_workers)

    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    return load_trained(options.model, pairs, options.num_workers, options.dtype, options.device)


main = command(run)

if __name__ == "__main__":
    sys.exit(main())
