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


def test_balanced_weights_of_several_labels(tmp_path: Path) -> None:
    """47 rows, of which 40 have the first label, and 5 the second."""
    vectors = [[float(row < 40), float(row < 5), 0.0] for row in range(47)]
    data = Dataset.from_dict({"input_ids": rows()["input_ids"][:], "labels": vectors})
    arguments = GloveBiLSTMTrainingArguments(
        output_dir=str(tmp_path), use_cpu=True, class_weights="balanced", eval_strategy="no", report_to="none"
    )
    model = make_model(problem_type="multi_label_classification").eval()
    trainer = GloveBiLSTMTrainer(model=model, args=arguments, train_dataset=data, data_collator=collate)
    ids, mask = make_batch()
    labels = torch.tensor(vectors[:13])
    with torch.no_grad():
        logits = model(ids, mask).logits
        loss = trainer.compute_loss(model, {"input_ids": ids, "attention_mask": mask, "labels": labels})
    positives = torch.tensor([7 / 40, 42 / 5, 1.0])
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
