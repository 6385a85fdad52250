"""How a model is trained: transformers' arguments, with defaults for a small recurrent model, and more."""

import math
import re
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import torch
from transformers import TrainingArguments
from transformers.trainer_utils import HubStrategy, IntervalStrategy, SaveStrategy
from transformers.training_args import OptimizerNames

from glove_bilstm.training.arguments import at_least
from glove_bilstm.training.tasks import (
    BEST_METRIC,
    MULTI_LABEL,
    SINGLE_LABEL,
    ProblemType,
    is_better_when_greater,
)

UNFREEZE_AT = "0.5"
"""Where the second stage begins, unless told."""
SECOND_STAGE_RATE = 0.1
"""Its learning rate as a share of the first one's, unless told."""
PATIENCE = 4
"""Evaluations without improvement that a run goes on for, unless told."""

_TUNING = ("embedding_learning_rate", "embedding_weight_decay", "embedding_anchor", "sparse_embedding_updates")
STRATEGY_OPTIONS = {
    "frozen": (),
    "finetune": _TUNING,
    "two_stage": (*_TUNING, "unfreeze_at", "unfreeze_warmup_steps", "gradual"),
}
"""The embedding strategies, and the options that mean something with each."""


@dataclass
class GloveBiLSTMTrainingArguments(TrainingArguments):
    """`transformers.TrainingArguments` with defaults for a small recurrent model, and the embedding strategy.

    Everything that the base class takes can be given. What differs: a higher learning rate, larger batches grouped by
    length, evaluation after every epoch, early stopping, and the best checkpoint kept and loaded at the end.

    Attributes:
        embedding_strategy: "frozen" leaves the pre-trained vectors as they are; "finetune" trains them along;
            "two_stage" freezes them first, and then trains everything at a lower rate.
        embedding_learning_rate: The embedding's own learning rate; in two stages, everything's in the second one.
            None: `learning_rate`, in the second stage a tenth of it. It follows the same schedule.
        embedding_weight_decay: The embedding's own weight decay.
        embedding_anchor: λ: each step pulls the rows it trains toward the vectors that they had when the Trainer was
            made, by λ times the learning rate. 0: not.
        sparse_embedding_updates: Update only the rows whose words are in the batch; see `RowwiseAdamW`.
        unfreeze_at: Where the second stage begins: a share of training ("0.5", the default), or a number of epochs
            ("3 epochs") or optimizer steps ("500 steps").
        unfreeze_warmup_steps: Over how many steps the learning rate rises anew in the second stage; below 1: over
            which share of that stage.
        gradual: Begin the second stage with the head; the LSTM's layers follow from the top down, then the embedding.
        min_steps: Train for more epochs than `num_train_epochs` where these make fewer optimizer steps than this, as
            they do with few texts.
        r_drop: α of R-Drop (Liang et al. 2021, https://arxiv.org/abs/2106.14448): every training text is read twice,
            each time with other dropout, and half of α times what the two answers differ by is added to their mean
            loss. Twice the computation. 0: not.
        class_weights: "balanced", "balanced_sqrt", or weights by name ("spam=3,ham=1", or a JSON object); see
            `make_class_weights`. "auto": "balanced_sqrt" for multi-label classification, otherwise none.
        focal_gamma: γ of the focal loss, by which what is learned already counts less; see `TaskLoss`. 0: not.
        early_stopping_patience: Stop after this many evaluations without a better `metric_for_best_model`. 0: never.
            None: 4 where the best checkpoint is kept, which it needs.
    """

    embedding_strategy: Literal["frozen", "finetune", "two_stage"] = field(
        default="frozen",
        metadata={"help": "Leave the word vectors as they are, train them along, or from some point."},
    )
    embedding_learning_rate: float | None = field(default=None, metadata={"help": "The embedding's learning rate."})
    embedding_weight_decay: float = field(default=0.0, metadata={"help": "The embedding's weight decay."})
    embedding_anchor: float = field(
        default=0.0, metadata={"help": "Pull of trained rows toward the original vectors."}
    )
    sparse_embedding_updates: bool = field(default=False, metadata={"help": "Update only the batch's rows."})
    unfreeze_at: str | None = field(default=None, metadata={"help": "Where the second stage begins."})
    unfreeze_warmup_steps: float = field(default=0.0, metadata={"help": "Warm-up of the second stage."})
    gradual: bool = field(default=False, metadata={"help": "Unfreeze from the top down, the embedding last."})
    min_steps: int = field(default=0, metadata={"help": "Train for more epochs where they make fewer steps."})
    r_drop: float = field(default=0.0, metadata={"help": "Weight of the disagreement of two passes; 0: one pass."})
    class_weights: str | None = field(default=None, metadata={"help": "How to balance, or weights by name."})
    focal_gamma: float = field(default=0.0, metadata={"help": "The focal loss's exponent."})
    early_stopping_patience: int | None = field(
        default=None, metadata={"help": "Stop after this many evaluations without improvement; 0: never; default: 4."}
    )

    num_train_epochs: float = field(default=20.0, metadata={"help": "Epochs at the most."})
    learning_rate: float = field(default=1e-3, metadata={"help": "The highest learning rate."})
    per_device_train_batch_size: int = field(default=32, metadata={"help": "Texts in a training batch."})
    # Larger ones are no faster, for the sorted texts of a batch differ the more in length, and need gigabytes where
    # texts are long.
    per_device_eval_batch_size: int = field(default=32, metadata={"help": "Texts in an evaluation batch."})
    train_sampling_strategy: str = field(default="group_by_length", metadata={"help": "How batches are made."})
    eval_strategy: str = field(default="epoch", metadata={"help": "When to evaluate."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to save a checkpoint."})
    save_total_limit: int | None = field(default=1, metadata={"help": "Checkpoints kept beside the best."})
    logging_strategy: str = field(default="epoch", metadata={"help": "When to log the training loss."})
    # Batches of ids are small; and without an accelerator torch warns.
    dataloader_pin_memory: bool = field(default=False, metadata={"help": "Pin batches in memory."})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "End with the best checkpoint's weights."})
    # Before the end transformers sends its arguments, the Hub token among them, and torch's own files, all pickled.
    hub_strategy: str = field(default="end", metadata={"help": "When to push: end."})
    metric_for_best_model: str | None = field(
        default=None, metadata={"help": "What 'best' means; default: accuracy, f1 (multi-label) or r2 (regression)."}
    )
    _settled = dict[str, tuple[Any, Any]]()  # what `settle_epochs` changed: as it was told, and as it is; no field

    def __post_init__(self) -> None:
        """Settle what depends on `eval_strategy`, and check what this class adds.

        Raises:
            ValueError: A value isn't one of its choices, or outside its range.
        """
        if "no" in (self.eval_strategy, self.save_strategy):  # nothing says which is the best, or there is none
            self.load_best_model_at_end = False
        elif self.eval_strategy == "steps" and self.save_strategy == "epoch" and self.load_best_model_at_end:
            # The best checkpoint can only be kept where one is saved at every evaluation.
            self.save_strategy = "steps"
            self.save_steps = self.logging_steps if self.eval_steps is None else self.eval_steps
        if self.early_stopping_patience is None or self.early_stopping_patience == PATIENCE:  # as `replace` gives it
            self.early_stopping_patience = PATIENCE if self.load_best_model_at_end else 0
        if self.ddp_find_unused_parameters is None:  # every parameter is used in every batch
            self.ddp_find_unused_parameters = False
        if not torch.accelerator.is_available():
            self.use_cpu = True  # unless it is said, processes started by torchrun would each train alone
        metric, greater = self.metric_for_best_model, self.greater_is_better
        super().__post_init__()
        # Transformers puts the loss where no metric is named, and knows of no other that had better be small.
        self.metric_for_best_model, self.greater_is_better = metric, greater
        if metric is not None:
            self.settle_metric(None)
        choices = ("random", "sequential", "group_by_length", "batch_rebalance")
        if self.train_sampling_strategy not in choices:
            raise ValueError(
                f"train_sampling_strategy={self.train_sampling_strategy!r} is none of {', '.join(choices)}."
            )
        at_least(
            1,
            per_device_train_batch_size=self.per_device_train_batch_size,
            per_device_eval_batch_size=self.per_device_eval_batch_size,
            gradient_accumulation_steps=self.gradient_accumulation_steps,
        )
        at_least(0, min_steps=self.min_steps)
        if self.fp16_full_eval or self.bf16_full_eval:
            raise ValueError(
                "fp16_full_eval and bf16_full_eval turn the model itself into half precision, which training would "
                "go on with and save. Leave them out; --bf16 trains and evaluates in mixed precision."
            )
        if self.batch_eval_metrics or self.prediction_loss_only:
            raise ValueError(
                "batch_eval_metrics and prediction_loss_only leave out what the metrics are measured on, all answers "
                "at once. Leave them out."
            )
        if self.label_names not in (None, ["labels"]):
            raise ValueError(f"label_names must be labels, as the model calls them; it is {self.label_names}.")
        if self.hub_strategy != HubStrategy.END:
            raise ValueError(
                f"hub_strategy must be end; {HubStrategy(self.hub_strategy).value} would push pickles before that: "
                "the optimizer's state, or arguments with your token. Leave it out; the model is pushed at the end."
            )
        if self.restore_callback_states_from_checkpoint:
            raise ValueError(
                "restore_callback_states_from_checkpoint would make the callbacks anew, without what this run gave "
                "them. Leave it out: the early stopping's count is restored anyway."
            )
        if self.num_train_epochs <= 0 and self.max_steps <= 0:
            raise ValueError(f"Nothing would be trained: num_train_epochs is {self.num_train_epochs}.")
        self.check_ranges()
        self._check_strategy()
        if self.early_stopping_patience < 0:
            raise ValueError(f"early_stopping_patience must not be negative; it is {self.early_stopping_patience}.")
        if self.early_stopping_patience and not self.load_best_model_at_end:
            raise ValueError(
                "early_stopping_patience means nothing where the best checkpoint isn't kept. Leave it out, or "
                "evaluate and save (eval_strategy, save_strategy) with load_best_model_at_end."
            )
        if self.min_steps and self.max_steps > 0:
            raise ValueError(
                f"min_steps {self.min_steps} means nothing beside max_steps {self.max_steps}, which says how long to "
                "train. Leave out one of the two."
            )

    @property
    def embedding_rate(self) -> float:
        """The embedding's highest learning rate, where it is trained from the start."""
        return self.learning_rate if self.embedding_learning_rate is None else self.embedding_learning_rate

    def settle_epochs(self, steps_per_epoch: int) -> None:
        """Raise the number of epochs to what `min_steps` asks for.

        What happens after every epoch then happens 20 times in all: epochs of a step or two would each be saved.

        Called again, as every training does, it begins from what was told, or was set since.
        """
        for name, (told, settled) in self._settled.items():
            if getattr(self, name) == settled:
                setattr(self, name, told)
        self._settled = {}
        epochs = math.ceil(self.min_steps / steps_per_epoch)
        if self.max_steps > 0 or epochs <= self.num_train_epochs:
            return
        changes: dict[str, Any] = {"num_train_epochs": float(epochs)}
        interval = max(steps_per_epoch, round(epochs * steps_per_epoch / 20))
        if self.eval_strategy == "epoch":
            changes |= {"eval_strategy": IntervalStrategy.STEPS, "eval_steps": interval}
        if self.save_strategy == "epoch":
            changes |= {"save_strategy": SaveStrategy.STEPS, "save_steps": interval}
        if self.logging_strategy == "epoch":
            changes |= {"logging_strategy": IntervalStrategy.STEPS, "logging_steps": interval}
        for name, value in changes.items():
            self._settled[name] = getattr(self, name), value
            setattr(self, name, value)

    def settle_metric(self, problem_type: ProblemType | None) -> None:
        """Choose what 'best' means for a task, as far as nobody said it.

        Args:
            problem_type: The task; None counts as single-label classification.
        """
        if self.metric_for_best_model is None:
            self.metric_for_best_model = BEST_METRIC[problem_type or SINGLE_LABEL]
        if self.greater_is_better is None:
            self.greater_is_better = is_better_when_greater(self.metric_for_best_model)

    def settle_task(self, problem_type: ProblemType | None) -> None:
        """Choose what depends on the task, as far as nobody said it: the metric, and how classes are weighed.

        Args:
            problem_type: The task; None counts as single-label classification.
        """
        self.settle_metric(problem_type)
        if self.class_weights == "auto":
            self.class_weights = "balanced_sqrt" if problem_type == MULTI_LABEL else None

    def _check_strategy(self) -> None:
        """Refuse options that mean nothing with the strategy.

        Only at construction: a hyperparameter search leaves an earlier trial's options in place, which then mean
        nothing.
        """
        default = {one.name: one.default for one in fields(self)}
        for name in STRATEGY_OPTIONS["two_stage"]:
            if name not in STRATEGY_OPTIONS[self.embedding_strategy] and getattr(self, name) != default[name]:
                fitting = [f"--embedding_strategy {one}" for one, names in STRATEGY_OPTIONS.items() if name in names]
                raise ValueError(
                    f"--{name} means nothing with --embedding_strategy {self.embedding_strategy}, which "
                    f"{'trains no embedding' if self.embedding_strategy == 'frozen' else 'has no second stage'}. "
                    f"Leave it out, or choose {' or '.join(fitting)}."
                )

    def check_ranges(self) -> None:
        """Refuse values outside their range, as they are by now.

        Raises:
            ValueError: There is one.
        """
        if self.embedding_strategy not in STRATEGY_OPTIONS:
            raise ValueError(
                f"embedding_strategy={self.embedding_strategy!r} is none of {', '.join(STRATEGY_OPTIONS)}."
            )
        for name in ("embedding_weight_decay", "embedding_anchor", "unfreeze_warmup_steps"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number that isn't negative; it is {getattr(self, name)}.")
        if not 0 < self.embedding_rate < math.inf and self.embedding_strategy != "frozen":
            told = "learning_rate" if self.embedding_learning_rate is None else "embedding_learning_rate"
            raise ValueError(f"{told} must be a number above 0; it is {getattr(self, told)}.")
        if self.unfreeze_at is not None:
            self.unfreeze_at = str(self.unfreeze_at)  # a number, in Python
            parse_unfreeze_at(self.unfreeze_at)
        if self.embedding_strategy == "two_stage" and not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0 for two stages; it is {self.learning_rate}.")
        if not 0 <= self.r_drop < math.inf:
            raise ValueError(f"r_drop must be a number of at least 0; it is {self.r_drop}.")
        if self.sparse_embedding_updates and self.optim not in ("adamw_torch", "adamw_torch_fused"):
            raise ValueError(
                "sparse_embedding_updates is made for the optimizer adamw_torch; optim is "
                f"{OptimizerNames(self.optim).value}. Leave out one of the two."
            )


def parse_unfreeze_at(text: str) -> tuple[float, str]:
    """Read when to unfreeze: "0.5" (share of training), "500" or "500 steps", "3 epochs".

    Returns:
        The number, and "share", "steps" or "epochs".

    Raises:
        ValueError: It is none of these.
    """
    matched = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(steps?|epochs?)?\s*", text)
    if matched is not None:
        number, unit = float(matched[1]), matched[2]
        if unit is not None and unit.startswith("epoch") and number > 0:
            return number, "epochs"
        if unit is None and 0 < number < 1:
            return number, "share"
        if matched[1].isdecimal() and number > 0:
            return number, "steps"
    raise ValueError(
        f"unfreeze_at={text!r} is no point of training. Give a share between 0 and 1 such as 0.5, or a number with "
        "its unit, such as '3 epochs' or '500 steps'."
    )
