"""The Trainer."""

import logging
import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from transformers import EvalPrediction, Trainer
from transformers.trainer import TRAINING_ARGS_NAME
from transformers.trainer_callback import ProgressCallback
from transformers.trainer_utils import SchedulerType, TrainOutput

from glove_bilstm.modeling.modeling_glove_bilstm import GloveBiLSTMForSequenceClassification
from glove_bilstm.training.checkpoints import (
    check_states,
    checkpoint_to_resume,
    find_best_checkpoint,
    find_last_checkpoint,
)
from glove_bilstm.training.metrics import FEWEST_TEXTS, compute_metrics, logits_of, tune_thresholds
from glove_bilstm.training.progress import BriefProgressCallback
from glove_bilstm.training.row_adam import RowwiseAdamW, clip_sparse_grad_norm
from glove_bilstm.training.step_loss import LossTrainer
from glove_bilstm.training.strategies import SecondStageEarlyStopping, StrategyCallback, plan_two_stages
from glove_bilstm.training.tasks import MULTI_LABEL
from glove_bilstm.training.training_arguments import GloveBiLSTMTrainingArguments
from glove_bilstm.vectors.errors import InputError

logger = logging.getLogger(__name__)


def has_finite_weights(model: nn.Module) -> bool:
    """Whether all of a model's weights are numbers."""
    return all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())


class GloveBiLSTMTrainer(LossTrainer):
    """`transformers.Trainer` with the embedding strategies, metrics, early stopping and reproducible length grouping.

    A plain `Trainer` works on the model too; it then trains the embedding if `config.freeze_embeddings` is false.
    """

    strategy: StrategyCallback | None = None
    _made_for: tuple[Any, ...] | None = None  # the options that the optimizer was made for, where it is our own
    _step, _batch = -1, 0  # the batches of one optimizer step are counted, to name one

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what `Trainer` takes. `args` must be `GloveBiLSTMTrainingArguments`.

        With `compute_metrics` and no `args.metric_for_best_model` the loss says which checkpoint is the best.

        Raises:
            InputError: The model isn't a GloveBiLSTMForSequenceClassification or has adapters; or options contradict
                each other, the data sets or the optimizer.
        """
        super().__init__(*args, **kwargs)
        model = self._apply_strategy(self.model)
        if self.args.embedding_strategy != "frozen":
            self.strategy = StrategyCallback(model, self.args, self.log)
            # Before those that were given, which then see what the step, or the end of training, makes of the model.
            self.callback_handler.callbacks.insert(0, self.strategy)
        if self.compute_metrics is None:
            self.compute_metrics = self._measure
        if self.pop_callback(ProgressCallback) is not None:  # absent with --disable_tqdm, and in a notebook
            self.add_callback(BriefProgressCallback)
        if self.args.early_stopping_patience:
            self.add_callback(SecondStageEarlyStopping(self.args.early_stopping_patience, self.strategy))
        self._settle_optimizer()

    @property
    def _embedding_options(self) -> tuple[Any, ...]:
        args = self.args
        rate = args.embedding_learning_rate if args.embedding_strategy == "finetune" else None
        return args.sparse_embedding_updates, args.embedding_weight_decay, rate

    def _settle_optimizer(self) -> None:
        """Check the optimizer that was given, if any; let go of one that was made for other options."""
        if self.optimizer_cls_and_kwargs is not None and self.args.sparse_embedding_updates:
            raise InputError(
                "sparse_embedding_updates comes with an optimizer of its own, and optimizer_cls_and_kwargs names "
                f"{self.optimizer_cls_and_kwargs[0].__name__}. Leave out one of the two."
            )
        if self._made_for is None:
            if self.optimizer is not None:
                self._check_optimizer(self.optimizer)
        elif self._made_for != self._embedding_options:
            self.optimizer = None

    def _check_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """See that one which was given does what the strategy says."""
        sparse, decay, rate = self._embedding_options
        if sparse or decay or rate is not None:
            raise InputError(
                "embedding_learning_rate, embedding_weight_decay and sparse_embedding_updates are for the Trainer's "
                "own optimizer. Leave them out, and give the embedding a parameter group in yours."
            )
        held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
        if self.strategy is not None and id(self.strategy.embedding) not in held:
            raise InputError(
                f"embedding_strategy {self.args.embedding_strategy} trains the embedding, which the optimizer that "
                "was given doesn't hold (a frozen one has no gradient). Make the optimizer after "
                "model.set_frozen(False), of all parameters."
            )

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> TrainOutput:
        """Train as `Trainer` does. Then tune the thresholds of a multi-label model on the `eval_dataset`, if any.

        They are in `config.thresholds`; see `tune_thresholds`.

        Args:
            resume_from_checkpoint: A checkpoint's folder, or True: the newest complete one in `args.output_dir`.
            *args: What else `Trainer.train` takes.
            **kwargs: The same.

        Raises:
            InputError: There is no such checkpoint, or it lacks what a run goes on from.
        """
        checkpoint = checkpoint_to_resume(resume_from_checkpoint, Path(str(self.args.output_dir)))
        if checkpoint is not None:
            scaled = self.accelerator.scaler is not None
            check_states(checkpoint, self.args.world_size, self.args.process_index, scaled)
        output = super().train(None if checkpoint is None else str(checkpoint), *args, **kwargs)
        if self._config.problem_type == MULTI_LABEL:
            self._tune_thresholds()
        return output

    def _inner_training_loop(self, *args: Any, **kwargs: Any) -> TrainOutput:
        """What `train` does once the model is made, and the arguments are those of the trial."""
        self._step = -1
        self.args.check_ranges()
        if (self.strategy is None) != (self.args.embedding_strategy == "frozen"):
            raise InputError(
                "embedding_strategy can't be changed from or to frozen once the Trainer is made. Make another one."
            )
        self.args.settle_task(self._config.problem_type)
        self._settle_loss()
        self._settle_optimizer()
        self._config.thresholds = None  # those that it came with belong to other weights
        model = self._apply_strategy(self.model)
        model.get_input_embeddings().sparse = self.args.sparse_embedding_updates
        if self.strategy is not None:
            self.strategy.begin()
        try:
            return super()._inner_training_loop(*args, **kwargs)
        finally:  # Ctrl-C and errors too: the model may be trained again
            if self.strategy is not None:
                self.strategy.end()
            model.get_input_embeddings().sparse = False

    def _init_training_state(
        self,
        max_steps: int,
        num_update_steps_per_epoch: int,
        num_train_epochs: int,
        resume_from_checkpoint: str | None,
        trial: Any,
    ) -> tuple[int, int]:
        progress = super()._init_training_state(
            max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
        )
        best = None if resume_from_checkpoint is None else find_best_checkpoint(Path(resume_from_checkpoint))
        if best is not None:  # transformers looks only where it was written, which may hold another run's by now
            self.state.best_model_checkpoint = str(best)
        return progress

    def _tune_thresholds(self) -> None:
        logits = references = None
        if self.eval_dataset is not None and not isinstance(self.eval_dataset, dict):
            as_given = self.preprocess_logits_for_metrics, self.compute_metrics
            self.preprocess_logits_for_metrics = self.compute_metrics = None
            try:
                answers = self.predict(cast(Any, self.eval_dataset))
            finally:
                self.preprocess_logits_for_metrics, self.compute_metrics = as_given
            logits, references = answers.predictions, answers.label_ids
        if references is None or not len(references):
            logger.warning(
                "Without an eval_dataset, one with labels, no thresholds are tuned: labels apply from 0.5 on."
            )
            return
        logits, references = logits_of(logits), np.asarray(references)  # [N, C]
        self._config.thresholds = tune_thresholds(logits, references).tolist()
        rare = int((references.sum(axis=0) < FEWEST_TEXTS).sum())
        if rare:
            logger.warning(
                f"{rare} of {references.shape[1]} labels apply to fewer than {FEWEST_TEXTS} validation texts each, "
                "too few for thresholds of their own. Validate on more texts if you can."
            )

    def _validate_args(self) -> None:
        self._check_model(self.model)
        # Here the model is known, and nothing has asked for the metric yet.
        if isinstance(self.args, GloveBiLSTMTrainingArguments):
            if self.args.metric_for_best_model is None and self.args.load_best_model_at_end:
                if isinstance(self.eval_dataset, dict):
                    raise InputError(
                        "Of several evaluation sets one must say which checkpoint is the best: set "
                        f"metric_for_best_model, for instance to {next(iter(self.eval_dataset))}_loss."
                    )
                if self.compute_metrics is not None:  # which may know nothing of the task's own
                    self.args.metric_for_best_model = "loss"
            self.args.settle_task(self._config.problem_type)
        super()._validate_args()

    def call_model_init(self, trial: Any = None) -> GloveBiLSTMForSequenceClassification:
        """Make the model anew, where `model_init` was given."""
        model = self._apply_strategy(super().call_model_init(trial))
        if self.strategy is not None:
            self.strategy.attach(model)
        return model

    @staticmethod
    def _check_model(model: Any) -> None:
        # By what it has, since it may be of the class that a model's own folder brings.
        is_ours = hasattr(model, "set_frozen") and hasattr(model, "classifier")
        if not is_ours or getattr(model, "peft_config", None):
            raise InputError(
                f"GloveBiLSTMTrainer can't train this {type(model).__name__}: it trains a "
                "GloveBiLSTMForSequenceClassification, without adapters. transformers.Trainer trains others."
            )

    def _apply_strategy(self, model: Any) -> GloveBiLSTMForSequenceClassification:
        self._check_model(model)
        model.set_frozen(self.args.embedding_strategy == "frozen")
        return model

    def _measure(self, prediction: EvalPrediction) -> dict[str, float]:
        # The model may have been made anew, so its configuration is asked for each time.
        return compute_metrics(self._config, prediction)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Make the optimizer, the embedding in a parameter group of its own from the first step on.

        (A group that came later would be unknown to the schedule; a parameter that needed no gradient when the
        optimizer was made would never be trained.)
        """
        if self.optimizer is None:
            self._made_for = self._embedding_options
        if self.optimizer is not None or self.strategy is None:
            return super().create_optimizer(model)
        embedding = self.strategy.embedding
        embedding.requires_grad_(False)  # so that it isn't in the others' groups
        optimizer = super().create_optimizer(model)
        embedding.requires_grad_(True)
        group = {"params": [embedding], "weight_decay": self.args.embedding_weight_decay}
        # In two stages the schedule lowers every rate when the second one begins.
        if self.args.embedding_strategy == "finetune" and self.args.embedding_learning_rate is not None:
            group["lr"] = self.args.embedding_learning_rate
        optimizer.add_param_group(group)  # otherwise its rate is that of all others
        return optimizer

    @staticmethod
    def get_optimizer_cls_and_kwargs(args: Any, model: Any = None) -> tuple[Any, Any]:
        """The optimizer's class and options; with `sparse_embedding_updates`, `RowwiseAdamW`."""
        kind, options = Trainer.get_optimizer_cls_and_kwargs(args, model)
        return (RowwiseAdamW if args.sparse_embedding_updates else kind), options

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Make the schedule of learning rates, with two stages where the strategy has them."""
        try:
            scheduler = super().create_scheduler(num_training_steps, optimizer)
        except TypeError as error:  # it names the arguments that are missing
            kind = SchedulerType(self.args.lr_scheduler_type).value
            raise InputError(
                f"--lr_scheduler_type {kind} can't be made: {error}. Its arguments are given by "
                "--lr_scheduler_kwargs, as a JSON object."
            ) from error
        if self.strategy is not None and self.args.embedding_strategy == "two_stage":
            if not self.steps_per_epoch:  # called before training
                self.get_train_dataloader()
            group = self.strategy.group_in(cast(Any, self.optimizer if optimizer is None else optimizer))
            rate = group.get("initial_lr", group["lr"])  # the schedule may have changed "lr" already
            parts = len(self.strategy.parts)
            stages = plan_two_stages(self.args, rate, num_training_steps, self.steps_per_epoch, parts)
            self.strategy.follow(stages, scheduler)
        return scheduler

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        if not self.control.should_training_stop:  # early stopping had ended the run that is resumed
            super()._run_epoch(*args, **kwargs)

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """One batch forth and back.

        Raises:
            InputError: The loss isn't a number, so training could only go on with weights that aren't either.
        """
        if self.state.global_step != self._step:
            self._step, self._batch = self.state.global_step, 0
        self._batch += 1
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss).all():
            raise self._diverged(f"The loss is {float(loss)} {self._in_batch()}")
        if self.strategy is not None:
            self.strategy.drop_unwanted_gradients()
        return loss

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        # Saved, they would replace what there is to go on from.
        if not has_finite_weights(cast(nn.Module, self.model)):
            raise self._diverged(f"After step {self.state.global_step:,} not all weights are numbers")
        super()._save_checkpoint(model, trial)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        # A pickle, which nothing reads and which may hold a token; `push_to_hub` would send it along.
        Path(str(output_dir or self.args.output_dir), TRAINING_ARGS_NAME).unlink(missing_ok=True)

    def _clip_grad_norm(self, model: nn.Module) -> torch.Tensor:
        if not self.args.sparse_embedding_updates:
            return super()._clip_grad_norm(model)
        self.accelerator.unscale_gradients()
        return clip_sparse_grad_norm(model.parameters(), self.args.max_grad_norm)

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        if grad_norm is None and self.args.sparse_embedding_updates:
            grad_norm = clip_sparse_grad_norm(model.parameters(), math.inf)
        norm = super()._get_grad_norm(model, grad_norm)
        # With a loss scaler infinite gradients are expected, and their step is left out.
        if self.accelerator.scaler is None and not math.isfinite(norm):
            raise self._diverged(f"The gradient's norm is {float(norm)} {self._in_batch()}")
        return norm

    def _in_batch(self) -> str:
        """Which one is being trained on."""
        step = self.state.global_step
        epoch, step_of_epoch = divmod(step, self.steps_per_epoch)
        batch = step_of_epoch * self.args.gradient_accumulation_steps + self._batch
        return f"at batch {batch:,} of {self.batches_per_epoch:,} in epoch {epoch + 1} (step {step + 1:,})"

    def _diverged(self, what: str) -> InputError:
        last = find_last_checkpoint(Path(str(self.args.output_dir)))
        return InputError(
            f"{what}, so training was stopped. "
            + (f"The last complete checkpoint is {last}. " if last is not None else "No checkpoint was complete yet. ")
            + "Lower --learning_rate, or look for what is unusual in that batch."
        )
