"""The embedding strategies: what is trained at which step, and at which rate."""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import EarlyStoppingCallback, TrainerCallback, TrainerControl, TrainerState
from transformers.training_args import ParallelMode

from glove_bilstm.modeling.modeling_glove_bilstm import GloveBiLSTMForSequenceClassification
from glove_bilstm.training.progress import UNFROZEN
from glove_bilstm.training.training_arguments import (
    SECOND_STAGE_RATE,
    UNFREEZE_AT,
    GloveBiLSTMTrainingArguments,
    parse_unfreeze_at,
)
from glove_bilstm.vectors.errors import InputError

logger = logging.getLogger(__name__)


def parts_of(model: GloveBiLSTMForSequenceClassification) -> list[tuple[str, list[torch.Tensor]]]:
    """The model's parameters from the top down: the head, each LSTM layer, the embedding."""
    named: list[tuple[str, torch.Tensor]] = list(model.named_parameters())
    layers = [
        (
            f"LSTM layer {layer + 1}",
            [weight for name, weight in named if name.removesuffix("_reverse").endswith(f"_l{layer}")],
        )
        for layer in reversed(range(model.config.num_hidden_layers))
    ]
    head = [weight for name, weight in named if not name.startswith(f"{model.base_model_prefix}.")]
    return [("the head", head), *layers, ("the embedding", [model.get_input_embeddings().weight])]


@dataclass(frozen=True)
class TwoStages:
    """Frozen first, then everything at a lower rate.

    Attributes:
        unfreeze_step: Optimizer steps before the second stage.
        max_steps: Optimizer steps in all.
        rate: The rate of the second stage as a share of the first one's.
        warmup_steps: Steps over which the second stage's rate rises from 0.
        gradual: Start the second stage with the head alone; let the LSTM's layers follow from the top down, and the
            embedding at last, each after an equal share of the stage (after Howard & Ruder 2018, ULMFiT, who let one
            layer more follow each epoch).
        parts: How many parts the model has: see `parts_of`.
    """

    unfreeze_step: int
    max_steps: int
    rate: float
    warmup_steps: int
    gradual: bool
    parts: int

    def start(self, part: int) -> int:
        """The first step of the second stage that trains this part (0: the head)."""
        if not self.gradual:
            return self.unfreeze_step
        return self.unfreeze_step + (self.max_steps - self.unfreeze_step) * part // self.parts

    @property
    def embedding_start(self) -> int:
        """The first step that trains the embedding."""
        return self.start(self.parts - 1)

    def is_trained(self, part: int, step: int) -> bool:
        """Whether a part is trained at a step."""
        in_first_stage = step < self.unfreeze_step and part < self.parts - 1
        return in_first_stage or step >= self.start(part)

    def factor(self, step: int) -> float:
        """What the schedule's learning rate is multiplied with at a step."""
        if step < self.unfreeze_step:
            return 1.0
        warmed = (step - self.unfreeze_step + 1) / (self.warmup_steps + 1)
        return self.rate * min(1.0, warmed)


def plan_two_stages(
    arguments: GloveBiLSTMTrainingArguments, embedding_rate: float, max_steps: int, steps_per_epoch: int, parts: int
) -> TwoStages:
    """Settle the stages of a run whose length is known.

    Args:
        arguments: The strategy's options.
        embedding_rate: The learning rate of the embedding's group in the optimizer, before the schedule changes it.
        max_steps: Optimizer steps in all.
        steps_per_epoch: Optimizer steps.
        parts: How many the model has; see `parts_of`.

    Raises:
        InputError: The second stage would begin after the end.
    """
    wanted = arguments.unfreeze_at or UNFREEZE_AT
    number, unit = parse_unfreeze_at(wanted)
    step = max(1, round(number * {"share": max_steps, "steps": 1, "epochs": steps_per_epoch}[unit]))
    left = max_steps - step
    if left < (parts if arguments.gradual else 1):
        raise InputError(
            f"--unfreeze_at {wanted} is after step {step:,}, and training ends after step {max_steps:,}"
            + (f": too early for the {parts} parts that --gradual unfreezes. " if 0 < left else ". ")
            + "Unfreeze earlier, or train longer."
        )
    warmup = arguments.unfreeze_warmup_steps
    if warmup >= max(left, 1):
        raise InputError(
            f"--unfreeze_warmup_steps {warmup:g} is longer than the second stage, which has {left:,} "
            f"step{'s' if left > 1 else ''}. Choose fewer, or a share of it below 1."
        )
    told = arguments.embedding_learning_rate
    return TwoStages(
        unfreeze_step=step,
        max_steps=max_steps,
        rate=SECOND_STAGE_RATE if told is None else told / embedding_rate,
        warmup_steps=round(warmup * left) if warmup < 1 else int(warmup),
        gradual=arguments.gradual,
        parts=parts,
    )


class StrategyCallback(TrainerCallback):
    """Carries out a strategy that trains the embedding: what has a gradient at which step, what is pulled back."""

    def __init__(
        self,
        model: GloveBiLSTMForSequenceClassification,
        arguments: GloveBiLSTMTrainingArguments,
        log: Callable[[dict[str, float]], None],
    ) -> None:
        """Prepare for training.

        Args:
            model: As it is before training: `embedding_anchor` pulls toward its embedding.
            arguments: The Trainer's.
            log: Writes to the Trainer's log.
        """
        self.attach(model)
        # DistributedDataParallel must know from start to end which gradients there will be; so with it every gradient
        # is computed, and those that aren't wanted are dropped.
        self.alone = arguments.parallel_mode != ParallelMode.DISTRIBUTED
        self.log = log

    def attach(self, model: GloveBiLSTMForSequenceClassification) -> None:
        """Take a model that wasn't trained yet."""
        self.model = model
        self.embedding = model.get_input_embeddings().weight  # [V, D]
        self.original = self.embedding.detach().clone()
        self.begin()

    def begin(self) -> None:
        """Before training: take the parts that can be trained. What somebody else froze is left alone."""
        self.original = self.original.to(self.embedding)  # a model that was made anew has been moved since
        trainable = [
            (name, [weight for weight in weights if weight.requires_grad]) for name, weights in parts_of(self.model)
        ]
        self.parts = [(name, weights) for name, weights in trainable if weights]
        self.trained = [True] * len(self.parts)
        self.stages: TwoStages | None = None

    def end(self) -> None:
        """After training, however it ended: nothing is frozen that wasn't when it began."""
        for _, weights in self.parts:
            for weight in weights:
                weight.requires_grad_(True)

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Before other callbacks see the model, which may have stopped in the first stage."""
        self.end()

    def group_in(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """The parameter group that holds the embedding."""
        return next(
            group for group in optimizer.param_groups if any(weight is self.embedding for weight in group["params"])
        )

    def follow(self, stages: TwoStages, scheduler: Any) -> None:
        """Train in two stages, and make a schedule of learning rates that knows nothing of them follow.

        Raises:
            InputError: The schedule isn't a function of the step alone.
        """
        if not isinstance(scheduler, LambdaLR):
            raise InputError(
                f"A learning rate by {type(scheduler).__name__} can't be divided into stages. Choose another "
                "--lr_scheduler_type, or --embedding_strategy finetune."
            )
        self.stages = stages
        # One that was made before training comes twice.
        plain = [
            one.keywords["schedule"] if isinstance(one, functools.partial) and one.func is _staged else one
            for one in scheduler.lr_lambdas
        ]
        scheduler.lr_lambdas = [functools.partial(_staged, stages=stages, schedule=schedule) for schedule in plain]

    def drop_unwanted_gradients(self) -> None:
        """After the backward pass: what isn't trained at this step has no gradient, for clipping neither."""
        for trained, (_, weights) in zip(self.trained, self.parts, strict=True):
            if not trained:
                for weight in weights:
                    weight.grad = None

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Settle what this step trains. It depends on the step alone, so a resumed run goes on as it would have."""
        if self.stages is None:
            return
        step = state.global_step
        before, self.trained = self.trained, [self.stages.is_trained(part, step) for part in range(len(self.parts))]
        if self.alone and self.trained != before:
            for trained, (_, weights) in zip(self.trained, self.parts, strict=True):
                for weight in weights:
                    weight.requires_grad_(trained)
        starting = [name for part, (name, _) in enumerate(self.parts) if step == self.stages.start(part)]
        if starting:
            rest = ""
            if len(starting) == len(self.parts):
                what = "everything"
            elif step == self.stages.unfreeze_step:
                what, rest = f"{starting[0]} alone", ". The rest pauses, and follows from the top down"
            else:
                what = f"{starting[0]} too"
            logger.info(
                f"After {step:,} of {self.stages.max_steps:,} steps (epoch {state.epoch:.4g}): {what} is trained from "
                f"here, at {self.stages.rate:.3g} times the learning rate{rest}."
            )
        if step == self.stages.embedding_start:
            self.log({UNFROZEN: step})

    def on_pre_optimizer_step(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Pull the rows that this step trains toward where they came from.

        As weight decay in AdamW, but toward the original vectors instead of zero, and apart from the gradient: the
        pull is λ times the learning rate. (As a penalty: Li et al. 2018, L2-SP.)
        """
        if not args.embedding_anchor or self.embedding.grad is None:
            return
        pull = min(1.0, args.embedding_anchor * self.group_in(kwargs["optimizer"])["lr"])
        with torch.no_grad():
            if self.embedding.grad.is_sparse:
                rows = self.embedding.grad.coalesce().indices()[0]  # [R]
                self.embedding[rows] = self.embedding[rows].lerp(self.original[rows], pull)
            else:
                self.embedding.lerp_(self.original, pull)


def describe_strategy(
    arguments: GloveBiLSTMTrainingArguments, stages: TwoStages | None, steps_per_epoch: int, best_step: int | None
) -> str:
    """What became of the embedding, as the end of a sentence that begins with it.

    Args:
        arguments: The strategy's options.
        stages: Those of the run, where it had two.
        steps_per_epoch: Optimizer steps.
        best_step: The step of the checkpoint that was kept. None: the last.
    """
    if arguments.embedding_strategy == "frozen":
        return "frozen: its vectors are those of the file"
    if stages is None:
        told = f"trained along from the start, at a learning rate of at most {arguments.embedding_rate:g}"
    else:
        start = stages.embedding_start
        told = (
            f"frozen for the first {start:,} of {stages.max_steps:,} steps (until epoch "
            f"{start / steps_per_epoch:.3g}), and then trained with all the rest at {stages.rate:.3g} times the "
            "learning rate that the schedule has there"
        )
        if stages.gradual:
            told += f", the other parts from step {stages.unfreeze_step:,} on, one after the other from the top down"
        if best_step is not None and best_step <= start:
            told += f". The checkpoint that was kept is of step {best_step:,}, so its vectors are those of the file"
    if arguments.embedding_anchor:
        told += f". Its rows were pulled toward the original vectors (λ = {arguments.embedding_anchor:g})"
    if arguments.sparse_embedding_updates:
        told += ". Each step updated the rows of its own words alone"
    return told


class SecondStageEarlyStopping(EarlyStoppingCallback):
    """Early stopping that doesn't end a run before the embedding was trained at all."""

    def __init__(self, patience: int, strategy: StrategyCallback | None) -> None:
        """Stop after `patience` evaluations without improvement, counted from where the strategy unfreezes."""
        super().__init__(patience)
        self.strategy = strategy
        self.begun_at = 0

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Go on counting from where a resumed run was; its end may have been reached."""
        super().on_train_begin(args, state, control, **kwargs)
        # Transformers writes the count into a checkpoint, and reads it only into callbacks that it makes anew.
        callbacks: Any = state.stateful_callbacks  # states by name, not the list that its type says
        kept = callbacks.get(type(self).__name__, {}) if state.global_step else {}
        self.early_stopping_patience_counter = kept.get("attributes", {}).get("early_stopping_patience_counter", 0)
        self.begun_at = state.global_step
        if self.early_stopping_patience_counter >= self.early_stopping_patience:
            control.should_training_stop = True

    def on_evaluate(  # type: ignore[override]  # transformers' own adds a parameter
        self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count, once the second stage has begun."""
        stages = None if self.strategy is None else self.strategy.stages
        if state.global_step == self.begun_at:
            return  # --eval_on_start: of a resumed run those weights have been counted
        if f"eval_{args.metric_for_best_model.removeprefix('eval_')}" not in kwargs["metrics"]:
            return  # of several evaluation sets this is another
        if stages is None or state.global_step > stages.embedding_start:
            super().on_evaluate(args, state, control, **kwargs)


def _staged(step: int, stages: TwoStages, schedule: Callable[[int], float]) -> float:
    return schedule(step) * stages.factor(step)
