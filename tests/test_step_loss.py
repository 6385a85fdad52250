"""The loss that the Trainer takes: class weights, smoothing, focal loss, and how steps are divided."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset
from test_strategies import collate, make_trainer, rows
from tiny_model import make_batch, make_model

from glove_bilstm import GloveBiLSTMTrainer, GloveBiLSTMTrainingArguments
from glove_bilstm.vectors.errors import InputError

SINGLE = "single_label_classification"


def loss_of(tmp_path: Path, labels: torch.Tensor, config: dict[str, Any], **options: Any) -> tuple[Any, Any]:
    """The Trainer's loss on a batch of 13, and the model's logits; the training labels are those of 47 rows."""
    trainer = make_trainer(tmp_path, make_model(**config), **options)
    trainer.model.eval()
    ids, mask = make_batch()
    inputs = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    with torch.no_grad():
        logits = trainer.model(ids, mask).logits
        return trainer.compute_loss(trainer.model, inputs), logits


def test_plain(tmp_path: Path) -> None:
    labels = torch.arange(13) % 3
    loss, logits = loss_of(tmp_path, labels, {"problem_type": SINGLE})
    assert loss == pytest.approx(float(F.cross_entropy(logits, labels)))


def test_class_weights_smoothing_and_focal(tmp_path: Path) -> None:
    labels = torch.arange(13) % 3
    weights = torch.tensor([1.0, 3.0, 1.0])
    counts = torch.bincount(torch.tensor(rows()["labels"][:])).float()
    weights *= 47 / (weights * counts).sum()  # their mean over the training labels is 1
    unweighted, logits = loss_of(tmp_path, labels, {"problem_type": SINGLE}, class_weights="auto")
    assert unweighted == pytest.approx(float(F.cross_entropy(logits, labels)))
    given = {"class_weights": "LABEL_1=3"}
    loss, logits = loss_of(tmp_path, labels, {"problem_type": SINGLE}, **given)
    each = F.cross_entropy(logits, labels, reduction="none")
    assert loss == pytest.approx(float((weights[labels] * each).mean()))
    smoothed, _ = loss_of(tmp_path, labels, {"problem_type": SINGLE}, label_smoothing_factor=0.2)
    assert smoothed == pytest.approx(float(F.cross_entropy(logits, labels, label_smoothing=0.2)))
    focal, _ = loss_of(tmp_path, labels, {"problem_type": SINGLE}, focal_gamma=2.0)
    assert focal == pytest.approx(float(((1 - (-each).exp()) ** 2 * each).mean()))
    with pytest.raises(InputError, match="work against each other"):
        loss_of(tmp_path, labels, {"problem_type": SINGLE}, focal_gamma=2.0, label_smoothing_factor=0.2)


def test_regression_is_standardised(tmp_path: Path) -> None:
    targets = torch.linspace(1000.0, 9000.0, 13)
    config = {"problem_type": "regression", "num_labels": 1, "target_mean": 5000.0, "target_std": 2000.0}
    loss, logits = loss_of(tmp_path, targets, config)
    assert loss == pytest.approx(float(F.mse_loss(logits.view(-1), targets)) / 2000.0**2)
    with pytest.raises(InputError, match="are for classes, and regression has none"):
        loss_of(tmp_path, targets, config, focal_gamma=2.0)


@pytest.mark.parametrize(("class_weights", "power"), [("balanced", 1.0), ("auto", 0.5)])
def test_balanced_weights_of_several_labels(class_weights: str, power: float, tmp_path: Path) -> None:
    """47 rows, of which 40 have the first label, and 5 the second."""
    vectors = [[float(row < 40), float(row < 5), 0.0] for row in range(47)]
    data = Dataset.from_dict({"input_ids": rows()["input_ids"][:], "labels": vectors})
    arguments = GloveBiLSTMTrainingArguments(
        output_dir=str(tmp_path), use_cpu=True, class_weights=class_weights, eval_strategy="no", report_to="none"
    )
    model = make_model(problem_type="multi_label_classification").eval()
    trainer = GloveBiLSTMTrainer(model=model, args=arguments, train_dataset=data, data_collator=collate)
    ids, mask = make_batch()
    labels = torch.tensor(vectors[:13])
    with torch.no_grad():
        logits = model(ids, mask).logits
        loss = trainer.compute_loss(model, {"input_ids": ids, "attention_mask": mask, "labels": labels})
    positives = torch.tensor([7 / 40, 42 / 5, 1.0]) ** power
    assert loss == pytest.approx(float(F.binary_cross_entropy_with_logits(logits, labels, pos_weight=positives)))


def test_accumulated_uneven_batches_are_one_step(tmp_path: Path) -> None:
    """47 rows by 13: the last step has 8, in batches of 4, 4; the gradient is that of the 8 together."""
    norms = []
    for batch, accumulation in ((12, 1), (4, 3), (2, 6)):
        trainer = make_trainer(
            tmp_path, make_model(problem_type=SINGLE, embedding_dropout=0.0, lstm_dropout=0.0, classifier_dropout=0.0),
            per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation, logging_steps=1,
            logging_strategy="steps", class_weights="balanced",
        )  # fmt: skip
        trainer.train()
        norms.append([log["grad_norm"] for log in trainer.state.log_history if "grad_norm" in log])
    assert len(norms[0]) == 12
    assert norms[1] == pytest.approx(norms[0], rel=1e-3) and norms[2] == pytest.approx(norms[0], rel=1e-3)


def test_a_target_of_minus_hundred_counts(tmp_path: Path) -> None:
    """To transformers, which divides a step's loss by what is counted, a label of -100 is none."""
    trainer = make_trainer(tmp_path, make_model(problem_type="regression", num_labels=1))
    batches = [{"labels": torch.tensor([-100.0, 2.5])}, {"labels": torch.tensor([-100.0])}]
    assert trainer._get_num_items_in_batch(batches, torch.device("cpu")) == 3


def test_r_drop_adds_what_two_passes_differ_by(tmp_path: Path) -> None:
    labels = torch.arange(13) % 3
    trainer = make_trainer(tmp_path, make_model(problem_type=SINGLE), r_drop=3.0)
    ids, mask = make_batch()
    inputs = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    torch.manual_seed(5)
    loss = trainer.compute_loss(trainer.model.train(), dict(inputs))
    torch.manual_seed(5)
    one, other = trainer.model(torch.cat([ids, ids]), torch.cat([mask, mask])).logits.chunk(2)
    assert not torch.allclose(one, other)
    p, q = one.softmax(-1), other.softmax(-1)
    apart = ((p * (p / q).log()).sum() + (q * (q / p).log()).sum()) / 13  # both directions, the mean over rows
    losses = F.cross_entropy(one, labels) + F.cross_entropy(other, labels)
    torch.testing.assert_close(loss, losses / 2 + 3.0 * apart / 4)
    # In evaluation there is one pass, and the plain loss.
    trainer.model.eval()
    with torch.no_grad():
        assert float(trainer.compute_loss(trainer.model, dict(inputs))) == pytest.approx(
            float(F.cross_entropy(trainer.model(ids, mask).logits, labels))
        )


def test_r_drop_of_accumulated_batches_is_that_of_one(tmp_path: Path) -> None:
    """Without dropout the passes agree, so what is left is the plain loss, however the step is divided."""
    still = {"embedding_dropout": 0.0, "lstm_dropout": 0.0, "classifier_dropout": 0.0}
    losses = []
    for batch, accumulation, r_drop in ((12, 1, 0.0), (12, 1, 1.0), (4, 3, 1.0)):
        trainer = make_trainer(
            tmp_path, make_model(problem_type=SINGLE, **still), per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulation, logging_steps=1, logging_strategy="steps", r_drop=r_drop,
        )  # fmt: skip
        trainer.train()
        losses.append([log["loss"] for log in trainer.state.log_history if "loss" in log])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3) and losses[2] == pytest.approx(losses[0], rel=1e-3)


def test_r_drop_needs_the_trainers_own_loss(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="r_drop must be a number of at least 0; it is -1"):
        make_trainer(tmp_path, make_model(problem_type=SINGLE), r_drop=-1.0)
    with pytest.raises(InputError, match="r_drop belong to the Trainer's own loss"):
        make_trainer(tmp_path, make_model(), r_drop=1.0)
