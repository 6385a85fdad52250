"""`glove-bilstm train`: train a text classifier and save it as a folder that Hugging Face loads."""

import argparse
import logging
import sys
from contextlib import suppress

from glove_bilstm.scripts.shared import command, make_parser, user_path

logger = logging.getLogger("glove_bilstm")  # also where this file is run by itself, and is called "__main__"


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options of this verb, and those that are transformers' own."""
    parser = make_parser(
        "train",
        "Train a text classifier on a data set and pre-trained word vectors.\n"
        "Without --dataset it trains on the bundled demo's reviews, and without --vectors from its small vectors.",
        "Every flag of transformers.TrainingArguments is taken too, for instance --seed, --weight_decay,\n"
        "--lr_scheduler_type, --warmup_steps, --gradient_accumulation_steps and --report_to.\n"
        "--push_to_hub pushes the model when all is done, to --hub_model_id, in one commit.\n"
        "Flags may be written with _ or -.",
    )
    parser.add_argument("--output_dir", required=True, type=user_path, help="folder for the trained model")
    parser.add_argument("--overwrite", action="store_true", default=False, help="replace a model that is there")
    parser.add_argument(
        "--resume_from_checkpoint",
        nargs="?",
        const="last",
        metavar="DIR",
        help="go on with an interrupted run: from its last checkpoint, or from DIR",
    )

    parser.add_argument(
        "--recipe",
        choices=["classic", "tuned"],
        default="tuned",
        help="defaults for what follows: 'classic' is the plain architecture with frozen vectors, 'tuned' what "
        "did well on our validation splits; default: tuned",
    )

    data = parser.add_argument_group("data")
    data.add_argument("--dataset", help="Hub id, folder or file (csv, tsv, json, jsonl, parquet); default: demo")
    data.add_argument("--text_column", help="column of texts; default: text")
    data.add_argument("--text_pair_column", help="column of second texts, where each row has a pair; default: none")
    data.add_argument("--label_column", help="column of labels; default: label")
    data.add_argument(
        "--problem_type",
        choices=["single_label_classification", "multi_label_classification", "regression"],
        help="default: the labels tell: lists are multi-label, numbers that aren't all whole are regression",
    )
    data.add_argument("--validation_share", type=float, help="cut off train without a validation split; default: 0.1")
    data.add_argument("--max_length", type=int, help="cut TRAINING texts to this many words; default: not")

    model = parser.add_argument_group("vectors, vocabulary and model")
    model.add_argument("--vectors", help="name of a published set (glove.6B.100d, …) or a file; default: demo")
    model.add_argument("--no_cache", action="store_true", help="don't keep what was read from the vectors, nor use it")
    model.add_argument(
        "--profile",
        help="how text is split into words: glove, glove-cased, glove-twitter, word2vec-google-news, whitespace; "
        "default: auto, as the vectors' words were",
    )
    model.add_argument("--min_frequency", type=int, help="leave out rarer training words; default: 1")
    model.add_argument(
        "--min_frequency_without_vector",
        type=int,
        help="read rarer words that the vectors lack as unknown; default: 2; classic: 1",
    )
    model.add_argument("--max_vocabulary", type=int, help="keep this many training words; default: all")
    model.add_argument(
        "--extra_words", type=int, help="rows at the head of the vectors whose words are added; default: 20000"
    )
    model.add_argument("--oov", choices=["normal", "zeros", "mean"], help="vector of a missing word; default: normal")
    model.add_argument("--hidden_size", type=int, help="numbers in one direction's state; default: 200; classic: 256")
    model.add_argument("--num_hidden_layers", type=int, help="LSTM layers; default: 2")
    model.add_argument(
        "--pooling",
        choices=["last", "mean", "max", "mean_max", "attention"],
        help="how the words' states become one vector; default: mean_max; classic: last",
    )
    model.add_argument("--embedding_dropout", type=float, help="on the word vectors; default: 0.5")
    model.add_argument("--lstm_dropout", type=float, help="between layers; default: 0.5")
    model.add_argument("--classifier_dropout", type=float, help="before the last layer; default: 0.5")

    training = parser.add_argument_group("training")
    training.add_argument("--learning_rate", type=float, help="the highest; default: 1e-3")
    training.add_argument("--num_train_epochs", type=float, help="at the most; default: 5; classic: 20")
    training.add_argument("--per_device_train_batch_size", type=int, help="texts; default: 64; classic: 32")
    training.add_argument(
        "--embedding_strategy",
        choices=["frozen", "finetune", "two_stage"],
        help="leave the vectors, train them, or leave them first and train them later; default: finetune; classic: "
        "frozen",
    )
    training.add_argument(
        "--embedding_learning_rate",
        type=float,
        help="finetune: the embedding's own (default: 0.3 of --learning_rate; classic: all of it); two_stage: "
        "everything's in the second stage (default: 0.3 of it; classic: 0.1); the schedule lowers it like the other",
    )
    training.add_argument("--embedding_weight_decay", type=float, help="the embedding's own; default: 0")
    training.add_argument(
        "--embedding_anchor",
        type=float,
        metavar="LAMBDA",
        help="pull of trained rows toward the original vectors; default: 0",
    )
    training.add_argument(
        "--sparse_embedding_updates", action="store_true", help="update only the rows whose words are in the batch"
    )
    training.add_argument(
        "--unfreeze_at",
        metavar="WHEN",
        help="two_stage: a share of training below 1, '3 epochs', or '500 steps' or just 500; default: 0.5",
    )
    training.add_argument(
        "--unfreeze_warmup_steps",
        type=float,
        help="two_stage: of the second stage; below 1: a share of it; default: 0",
    )
    training.add_argument(
        "--gradual", action="store_true", help="two_stage: unfreeze from the top down, the embedding last"
    )
    training.add_argument(
        "--r_drop",
        type=float,
        help="read training texts twice, and weigh by this how the answers differ; default: 1; classic: 0, read once",
    )
    training.add_argument(
        "--class_weights",
        metavar="WEIGHTS",
        help="'balanced', 'balanced_sqrt' (half of the way), 'auto' (that for several labels, otherwise none), "
        "'name=weight,…' or a JSON object; default: auto; classic: none",
    )
    training.add_argument(
        "--focal_gamma",
        type=float,
        help="focal loss: texts answered well already weigh less; 2 is usual; default: 0, not",
    )
    training.add_argument(
        "--min_steps",
        type=int,
        help="train for more epochs until there are this many steps; default: 1500, or 0 where --num_train_epochs or "
        "--max_steps is given; classic: 0",
    )
    training.add_argument(
        "--early_stopping_patience", type=int, help="evaluations without gain; 0: never; default: 0; classic: 4"
    )

    card = parser.add_argument_group("the model's card")
    card.add_argument("--license", help="of the model, as the Hub names it: apache-2.0, mit, …; default: not told")
    card.add_argument("--language", help="of the texts: en, de, …; default: not told")
    return parser.parse_known_args(argv)


def run(argv: list[str]) -> None:
    """Train, write the folder, print the figures."""
    options, others = parse(argv)

    from dataclasses import fields
    from typing import Any, cast

    from torch import distributed
    from transformers import HfArgumentParser
    from transformers.utils.logging import disable_progress_bar

    from glove_bilstm.hub.folder import write_model_folder
    from glove_bilstm.hub.metadata import CardArguments
    from glove_bilstm.hub.push import Destination
    from glove_bilstm.scripts.tables import coverage_table, drift_table, metrics_table
    from glove_bilstm.training.arguments import DataArguments, ModelArguments
    from glove_bilstm.training.recipes import RECIPES
    from glove_bilstm.training.run import train_classifier
    from glove_bilstm.training.training_arguments import GloveBiLSTMTrainingArguments
    from glove_bilstm.vectors.errors import InputError
    from glove_bilstm.vectors.sources import DEMO

    disable_progress_bar()  # of reading and writing weights, which takes no time; training keeps its own
    recipe = RECIPES[options.recipe]
    given = vars(options)
    data = DataArguments(**{field.name: given[field.name] for field in fields(DataArguments) if field.name in given})
    model = ModelArguments(
        **recipe.model | {field.name: given[field.name] for field in fields(ModelArguments) if field.name in given}
    )
    if given.get("dataset", DEMO) != DEMO and "vectors" not in given:
        logger.warning(
            "No --vectors: the demo's 12,000 words of 50 numbers are used, which are for trying out. Name a set, such "
            "as glove.6B.100d, or a file."
        )
    # Without "debug", which means something else there.
    names = {field.name for field in fields(GloveBiLSTMTrainingArguments)} - {"debug"}
    ours = {name: given[name] for name in names & given.keys()}
    flags = {flag[2:].partition("=")[0] for flag in others if flag.startswith("--")}
    parser = HfArgumentParser(
        cast(Any, GloveBiLSTMTrainingArguments),
        prog="glove-bilstm train",
        usage="%(prog)s [options]",
        allow_abbrev=False,
    )
    parser.set_defaults(**recipe.training_for(ours | dict.fromkeys(flags)), **ours)
    training, unknown = parser.parse_args_into_dataclasses(
        others, return_remaining_strings=True, look_for_args_file=False
    )
    if unknown:
        raise InputError(f"There is no option {unknown[0]}; glove-bilstm train --help tells which there are.")

    about = CardArguments(given.get("license"), given.get("language"))
    destination: Any = None
    if training.push_to_hub:
        destination = Destination(
            training.hub_model_id or options.output_dir.resolve().name,
            training.hub_private_repo,
            training.hub_revision,
            token=training.hub_token,
        )
        # The Trainer would push checkpoints, file by file; this pushes the model, at the end.
        training.push_to_hub = False
        if training.process_index == 0:
            # What the Hub refuses, it had better refuse before hours of training.
            destination.prepare(about.head(), "--license and --language")
    was_there = options.output_dir.exists()
    try:
        result = train_classifier(data, model, training, options.overwrite)
        if training.process_index > 0:  # of several processes one writes and tells
            return
        write_model_folder(result, options.output_dir, about, destination and destination.repo_id)
    except BaseException:
        if not was_there and training.process_index == 0:
            with suppress(OSError):  # it holds checkpoints
                options.output_dir.rmdir()
        raise
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
    if result.drift is not None:
        print(f"{drift_table(result.drift)}\n")
    print(f"{coverage_table(result.coverage)}\n")
    print(metrics_table(result.figures, result.data.labels))
    print(f"\nSaved in {options.output_dir}")
    if destination is not None:
        address = destination.push(options.output_dir)
        print(f"Pushed: {address}" if address else f"Nothing to push: {destination.repo_id} holds just that.")


main = command(run)

if __name__ == "__main__":
    sys.exit(main())
