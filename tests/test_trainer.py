"""The Trainer's own behaviour, and a plain Trainer on the model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from transformers import Trainer, TrainingArguments, set_seed

from glove_bilstm import (
    GloveBiLSTMConfig,
    GloveBiLSTMForSequenceClassification,
    GloveBiLSTMTrainer,
    GloveBiLSTMTrainingArguments,
)
from glove_bilstm.inference.loading import load_classifier
from glove_bilstm.training.metrics import tune_thresholds
from glove_bilstm.training.progress import BriefProgressCallback


class TestTrainer:
    ROWS = [{"input_ids": [2] * (1 + n % 5), "labels": n % 2} for n in range(40)]  # a plain list does as well

    @pytest.fixture
    def classifier(self, model: Path) -> tuple[Any, Any]:
        return load_classifier(str(model))

    def test_model_init_gets_the_strategy_and_the_bar_its_lines(
        self, tmp_path: Path, classifier: tuple[Any, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = GloveBiLSTMTrainingArguments(
            output_dir=str(tmp_path), max_steps=2, use_cpu=True, embedding_strategy="finetune", eval_strategy="no"
        )
        trainer = GloveBiLSTMTrainer(
            model_init=lambda: GloveBiLSTMForSequenceClassification(classifier[0].config),
            args=arguments,
            train_dataset=self.ROWS,
            processing_class=classifier[1],
        )
        trainer.train()
        assert trainer.model.get_input_embeddings().weight.requires_grad
        assert any(isinstance(one, BriefProgressCallback) for one in trainer.callback_handler.callbacks)
        assert "epoch 1: training loss 0." in "".join(capsys.readouterr())

    @pytest.mark.parametrize(
        ("problem_type", "metric", "labels"),
        [
            (None, "accuracy", lambda n: n % 2),
            ("multi_label_classification", "f1", lambda n: [n % 2, 1.0]),
            ("regression", "r2", lambda n: [n / 2, 1.0]),
        ],
    )
    def test_the_task_decides_what_is_measured(
        self, problem_type: Any, metric: str, labels: Callable, tmp_path: Path, classifier: tuple[Any, Any]
    ) -> None:
        config = GloveBiLSTMConfig(vocab_size=9, embedding_dim=5, hidden_size=3, problem_type=problem_type)
        arguments = GloveBiLSTMTrainingArguments(output_dir=str(tmp_path), num_train_epochs=1, use_cpu=True)
        assert arguments.metric_for_best_model is None
        rows = [{**row, "labels": labels(number)} for number, row in enumerate(self.ROWS)]
        trainer = GloveBiLSTMTrainer(
            model_init=lambda: GloveBiLSTMForSequenceClassification(config),
            args=arguments,
            train_dataset=rows,
            eval_dataset=rows,
            processing_class=classifier[1],
        )
        trainer.train()
        assert arguments.metric_for_best_model == metric and arguments.greater_is_better
        assert trainer.state.best_metric == pytest.approx(trainer.evaluate()[f"eval_{metric}"])

    def test_thresholds_are_tuned_and_saved(
        self, tmp_path: Path, classifier: tuple[Any, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        config = GloveBiLSTMConfig(
            vocab_size=9,
            embedding_dim=5,
            hidden_size=3,
            problem_type="multi_label_classification",
            thresholds=[0.9, 0.9],
        )
        rows = [{**row, "labels": [float(n % 2), float(n == 3)]} for n, row in enumerate(self.ROWS)]
        arguments = GloveBiLSTMTrainingArguments(
            output_dir=str(tmp_path / "out"), num_train_epochs=1, use_cpu=True, class_weights="auto"
        )
        trainer = GloveBiLSTMTrainer(
            GloveBiLSTMForSequenceClassification(config), arguments, train_dataset=rows, eval_dataset=rows,
            processing_class=classifier[1],
        )  # fmt: skip
        assert arguments.class_weights == "balanced_sqrt"
        trainer.train()
        answers = trainer.predict(rows)
        thresholds = trainer.model.config.thresholds
        assert thresholds == tune_thresholds(answers.predictions, answers.label_ids).tolist() != [0.9, 0.9]
        # What was the best in training is what the saved model reaches.
        assert answers.metrics["test_f1"] == trainer.state.best_metric
        assert "1 of 2 labels apply to fewer than 5 validation texts each" in caplog.text
        trainer.save_model(str(tmp_path / "saved"))
        assert GloveBiLSTMConfig.from_pretrained(tmp_path / "saved").thresholds == thresholds

    def test_other_arguments_are_refused(self, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        with pytest.raises(TypeError, match="must be GloveBiLSTMTrainingArguments"):
            GloveBiLSTMTrainer(model=classifier[0], args=TrainingArguments(output_dir=str(tmp_path)))

    def test_data_seed(self, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        orders = []
        for seeds in ({"seed": 1}, {"seed": 2}, {"seed": 2, "data_seed": 1}):
            arguments = GloveBiLSTMTrainingArguments(
                output_dir=str(tmp_path), eval_strategy="no", use_cpu=True, **seeds
            )  # fmt: skip
            trainer = GloveBiLSTMTrainer(model=classifier[0], args=arguments, train_dataset=self.ROWS)
            orders.append(list(trainer.get_train_dataloader().batch_sampler))
        assert orders[0] == orders[2] != orders[1]


class TestPlainTrainer:
    def test_works_on_the_model(self, tmp_path: Path, model: Path) -> None:
        """Gradient accumulation included: the loss stays a mean."""
        classifier, tokenizer = load_classifier(str(model))
        rows = Dataset.from_list([{"input_ids": [2 + n % 5] * (n % 4), "labels": n % 2} for n in range(26)])
        losses = []
        for batch_size, accumulation in ((12, 1), (4, 3)):
            set_seed(0)
            config = classifier.config
            model = GloveBiLSTMForSequenceClassification(
                GloveBiLSTMConfig(
                    vocab_size=config.vocab_size,
                    embedding_dim=7,
                    hidden_size=6,
                    embedding_dropout=0.0,
                    lstm_dropout=0.0,
                    classifier_dropout=0.0,
                    freeze_embeddings=False,
                )
            )
            arguments = TrainingArguments(
                output_dir=str(tmp_path),
                max_steps=2,
                per_device_train_batch_size=batch_size,
                use_cpu=True,
                gradient_accumulation_steps=accumulation,
                logging_steps=1,
                report_to="none",
                save_strategy="no",
                disable_tqdm=True,
                dataloader_pin_memory=False,
                dataloader_drop_last=True,
            )
            trainer = Trainer(model=model, args=arguments, train_dataset=rows, processing_class=tokenizer)
            trainer.train()
            losses.append([log["loss"] for log in trainer.state.log_history if "loss" in log])
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)
        assert losses[0][0] == pytest.approx(0.69, abs=0.1)
