"""Checkpoints on disk: finding them, and whether a run may go on from one."""

import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from safetensors import SafetensorError, safe_open
from transformers import AutoTokenizer, TokenizersBackend, TrainerCallback
from transformers.trainer_callback import ExportableState

from glove_bilstm.modeling.configuration_glove_bilstm import GloveBiLSTMConfig
from glove_bilstm.training.arguments import DataArguments, ModelArguments
from glove_bilstm.training.training_arguments import STRATEGY_OPTIONS, GloveBiLSTMTrainingArguments
from glove_bilstm.vectors.errors import InputError

COMPLETE = "trainer_state.json"
"""The file that the Trainer writes last into a checkpoint."""
OPTIMIZER, SCHEDULER, SCALER = "optimizer.pt", "scheduler.pt", "scaler.pt"
"""The states that a run goes on from; torch's own format, and only the Trainer reads it."""
ROWS = "rows"
DECISIVE = (
    *("seed", "data_seed", "num_train_epochs", "max_steps", "min_steps", "per_device_train_batch_size"),
    *("gradient_accumulation_steps", "train_sampling_strategy", "dataloader_drop_last", "learning_rate"),
    *("lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "optim", "optim_args", "weight_decay"),
    *("adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "bf16", "fp16", "label_smoothing_factor"),
    *("class_weights", "focal_gamma", "r_drop", "neftune_noise_alpha"),
    *("embedding_strategy", *STRATEGY_OPTIONS["two_stage"]),
    *("load_best_model_at_end", "metric_for_best_model", "greater_is_better", "eval_strategy", "eval_steps"),
)
"""The training options that decide which weights a run ends with."""


def decisive_options(arguments: GloveBiLSTMTrainingArguments) -> dict[str, Any]:
    """The values of `DECISIVE`, as JSON holds them."""
    told = arguments.to_dict()
    return {name: told[name] for name in DECISIVE}


def hash_of_rows(*splits: Dataset) -> str:
    """The SHA-256 of encoded texts and their labels."""
    digest = hashlib.sha256()
    for split in splits:
        table = split.with_format("arrow")[:]
        for name in ("input_ids", "label"):
            values = table.column(name)
            while pa.types.is_nested(values.type):
                digest.update(_bytes_of(pc.list_value_length(values)))
                values = pc.list_flatten(values)
            digest.update(_bytes_of(values))
    return digest.hexdigest()


def _bytes_of(values: pa.ChunkedArray) -> bytes:
    array = values.to_numpy()
    if array.dtype.hasobject:  # its bytes are addresses, others in every process
        raise TypeError(f"Values of the type {values.type} can't be hashed.")
    return array.tobytes()


def options_of(
    arguments: GloveBiLSTMTrainingArguments, data: DataArguments, model: ModelArguments, rows: str
) -> dict[str, Any]:
    """What decides which weights a run ends with, and the model's configuration and vocabulary don't tell.

    Args:
        arguments: How it is trained.
        data: How texts are cut and drawn.
        model: How the words without a vector begin.
        rows: See `hash_of_rows`.
    """
    return {
        **decisive_options(arguments),
        "oov": model.oov,
        ROWS: rows,
        "max_length": data.max_length,
        "validation_share": data.validation_share,
        "nproc_per_node": arguments.world_size,
    }


class RunOptions(TrainerCallback, ExportableState):
    """Keeps the options of a run in its checkpoints, for the run that resumes it."""

    def __init__(self, **options: Any) -> None:
        """Keep these."""
        self.options = options

    def state(self) -> dict[str, Any]:
        """What the Trainer writes into a checkpoint's `trainer_state.json`."""
        return {"args": self.options, "attributes": {}}


def check_same_run(
    checkpoint: Path,
    config: GloveBiLSTMConfig,
    tokenizer: TokenizersBackend,
    options: dict[str, Any],
    keeps_best: bool,
) -> None:
    """Refuse to continue a run with other words, vectors, labels or options, or without what it would end with.

    Args:
        checkpoint: Where it goes on from.
        config: Of the model.
        tokenizer: Of the model.
        options: See `options_of`.
        keeps_best: Whether the run ends with the weights of its best checkpoint.

    Raises:
        InputError: They differ, or the checkpoint, or the best one so far, is damaged or gone; the message says so.
    """
    state = _read_state(checkpoint)
    best = state.get("best_model_checkpoint")
    if keeps_best and best and find_best_checkpoint(checkpoint) is None:
        raise InputError(
            f"{checkpoint} belongs to a run whose best checkpoint so far is {Path(best).name}, and that isn't beside "
            "it. Put it there, or start over with --overwrite."
        )
    saved = GloveBiLSTMConfig.from_pretrained(checkpoint)
    differing = [
        f"{name} {getattr(saved, name)} and this run has {getattr(config, name)}"
        for name in (*GloveBiLSTMConfig.__annotations__, "id2label")
        if getattr(saved, name) != getattr(config, name)
    ]
    if AutoTokenizer.from_pretrained(checkpoint, config=saved).get_vocab() != tokenizer.get_vocab():
        differing.append("another vocabulary")
    # A checkpoint of a plain Trainer knows nothing of options; one of ours has all of them.
    before = state["stateful_callbacks"].get(RunOptions.__name__, {"args": {}})["args"]
    differing += [
        "other texts or labels" if name == ROWS else f"--{name} {was} and this run has {options[name]}"
        for name, was in before.items()
        if options.get(name, was) != was
    ]
    if differing:
        raise InputError(
            f"{checkpoint} was made with {differing[0]}. Resume with the same data, vectors and options, or start "
            "over with --overwrite."
        )


def check_states(checkpoint: Path, processes: int, rank: int, has_scaler: bool) -> None:
    """Refuse a checkpoint from which a run wouldn't go on as it would have: transformers passes over what is missing.

    Args:
        checkpoint: Where it goes on from.
        processes: How many train together.
        rank: Of this one.
        has_scaler: Whether the run scales its loss (fp16).

    Raises:
        InputError: The checkpoint is damaged or incomplete (the message names the file), or of another kind of run.
    """
    if not (checkpoint / OPTIMIZER).exists():
        raise InputError(
            f"{checkpoint} holds no state of the optimizer (--save_only_model), without which a run can't go on from "
            "it. Start over with --overwrite."
        )
    random_states = len(list(checkpoint.glob("rng_state*.pth")))  # each process leaves its own
    if random_states not in (0, processes):
        raise InputError(
            f"{checkpoint} holds the states of {random_states} process{'es' if random_states > 1 else ''}, and this "
            f"run has {processes}. Resume with as many (--nproc_per_node), or start over with --overwrite."
        )
    if has_scaler and not (checkpoint / SCALER).exists():
        raise InputError(
            f"{checkpoint} has no {SCALER}, as of a run without fp16, and this run has it. Resume with the same "
            "options, or start over with --overwrite."
        )
    random_state = "rng_state.pth" if processes == 1 else f"rng_state_{rank}.pth"
    for name in (OPTIMIZER, SCHEDULER, random_state, *([SCALER] if has_scaler else [])):
        if not (checkpoint / name).exists():
            raise _damaged(checkpoint, f"it has no {name}")
        if not zipfile.is_zipfile(checkpoint / name):  # what torch writes is one, with its directory at the end
            raise _damaged(checkpoint, f"its {name} isn't whole")


def _read_state(checkpoint: Path) -> dict[str, Any]:
    """What the Trainer wrote last; by then the weights were there."""
    try:
        with safe_open(checkpoint / "model.safetensors", "pt") as weights:
            weights.keys()
        state: dict[str, Any] = json.loads((checkpoint / COMPLETE).read_text(encoding="utf-8"))
    except (OSError, ValueError, SafetensorError) as error:
        raise _damaged(checkpoint, str(error)) from error
    return state


def _damaged(checkpoint: Path, how: str) -> InputError:
    return InputError(
        f"{checkpoint} is damaged or incomplete ({how}). Resume from an older one (--resume_from_checkpoint DIR), or "
        "start over with --overwrite."
    )


def find_checkpoints(output_dir: Path) -> list[Path]:
    """The folders of checkpoints, complete or not, in the order of their steps."""
    numbered = [
        one for one in output_dir.glob("checkpoint-*") if one.name.partition("-")[2].isdigit() and one.is_dir()
    ]
    return sorted(numbered, key=lambda folder: int(folder.name.partition("-")[2]))


def find_last_checkpoint(output_dir: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    return next((folder for folder in reversed(find_checkpoints(output_dir)) if is_complete(folder)), None)


def find_best_checkpoint(checkpoint: Path) -> Path | None:
    """The best checkpoint so far of the run that left this one: beside it, wherever both are now, or as recorded."""
    recorded = _read_state(checkpoint).get("best_model_checkpoint")
    if recorded is None:
        return None
    return next(filter(is_complete, (checkpoint.with_name(Path(recorded).name), Path(recorded))), None)


def checkpoint_to_resume(told: str | bool | None, output_dir: Path) -> Path | None:
    """What a run goes on from: a folder by name, or, where told is True, the newest complete one.

    Raises:
        InputError: None is complete, or the one that is named isn't there, or is damaged.
    """
    if not told:
        return None
    checkpoint = find_last_checkpoint(output_dir) if told is True else Path(told)
    if checkpoint is None:
        raise InputError(f"There is no complete checkpoint to resume from in {output_dir}.")
    if not checkpoint.is_dir():
        raise InputError(f"There is no checkpoint {checkpoint}.")
    _read_state(checkpoint)
    checkpoint = Path(os.path.abspath(checkpoint))  # "." has no name
    for folder in (checkpoint, checkpoint.resolve()):  # itself, or what a link leads to
        if folder.parent.resolve() == output_dir.resolve():
            return output_dir / folder.name  # by such paths the Trainer tells the best checkpoint from others
    return checkpoint


def is_complete(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end."""
    return (checkpoint / COMPLETE).is_file()


def prepare_output_dir(output_dir: Path, resume: str | None, overwrite: bool) -> Path | None:
    """Refuse a folder that holds something already; give the checkpoint to resume from, if that is wanted."""
    if output_dir.exists() and not output_dir.is_dir():
        raise InputError(f"--output_dir {output_dir} is a file. Name a folder.")
    above = next(folder for folder in (output_dir, *output_dir.absolute().parents) if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise InputError(f"--output_dir {output_dir} can't be written, because of {above}. Name another folder.")
    for other in sorted(set(output_dir.glob("checkpoint-*")) - set(find_checkpoints(output_dir))):
        if other.is_dir():
            raise InputError(
                f"{other} isn't a checkpoint of a training run, but by its name it would be deleted as an old one. "
                "Rename it, or name another --output_dir."
            )
    last = find_last_checkpoint(output_dir)
    checkpoint = checkpoint_to_resume(resume == "last" or resume, output_dir)
    if checkpoint is not None:
        elsewhere = checkpoint.parent != output_dir
        if elsewhere and not overwrite and (last is not None or (output_dir / "config.json").exists()):
            raise InputError(
                f"{output_dir} holds another run than that of {checkpoint}. Name another --output_dir, or replace "
                "what is there with --overwrite."
            )
        return checkpoint
    if overwrite:
        return None
    if (output_dir / "config.json").exists():
        raise InputError(
            f"{output_dir} already holds a model. Name another --output_dir, or replace it with --overwrite."
        )
    if last is not None:
        raise InputError(
            f"{output_dir} holds an interrupted run ({last.name}). Continue it with --resume_from_checkpoint, or "
            "start over with --overwrite."
        )
    return None


class RemoveCheckpoints(TrainerCallback):
    """Removes an older run's checkpoints, which would be taken for this one's, once everything given proved usable.

    The older model stays until the new one is complete; and so does the best checkpoint so far, where this run goes on
    from one that was copied elsewhere.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Before the first step."""
        best = state.best_model_checkpoint
        for old in find_checkpoints(Path(args.output_dir)):
            if best is None or not old.samefile(best):
                shutil.rmtree(old)
