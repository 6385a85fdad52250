"""The Trainer's own behaviour, and a plain Trainer on the model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed

from glove_bilstm import (
    GloveBiLSTMConfig,
    GloveBiLSTMForSequenceClassification,
    GloveBiLSTMModel,
    GloveBiLSTMTrainer,
    GloveBiLSTMTrainingArguments,
)
from glove_bilstm.inference.loading import load_classifier
from glove_bilstm.training.metrics import tune_thresholds
from glove_bilstm.training.progress import BriefProgressCallback
from glove_bilstm.vectors.errors import InputError


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

    def make(
        self, folder: Path, tokenizer: Any, told: dict[str, Any], given: dict[str, Any], **options: Any
    ) -> GloveBiLSTMTrainer:
        """A Trainer of a small model: `told` its arguments, `given` what else it takes, `options` the model's."""
        config = GloveBiLSTMConfig(vocab_size=9, embedding_dim=5, hidden_size=3, **options)
        arguments = GloveBiLSTMTrainingArguments(
            output_dir=str(folder), **{"num_train_epochs": 1, "use_cpu": True, **told}
        )
        given = {"train_dataset": self.ROWS, "eval_dataset": self.ROWS, **given}
        return GloveBiLSTMTrainer(
            GloveBiLSTMForSequenceClassification(config), arguments, processing_class=tokenizer, **given
        )

    MULTI = [{**row, "labels": [float(n % 2), float(n % 3 == 0)]} for n, row in enumerate(ROWS)]

    def test_what_becomes_of_the_logits_changes_no_threshold(
        self, tmp_path: Path, classifier: tuple[Any, Any]
    ) -> None:
        found = []
        for change in (None, lambda logits, labels: logits.sigmoid() > 0.5):
            set_seed(1)
            trainer = self.make(
                tmp_path, classifier[1], {"eval_strategy": "no"},
                {"train_dataset": self.MULTI, "eval_dataset": self.MULTI, "preprocess_logits_for_metrics": change},
                problem_type="multi_label_classification",
            )  # fmt: skip
            trainer.train()
            found.append((trainer.model.config.thresholds, trainer.evaluate()["eval_loss"]))
            assert trainer.preprocess_logits_for_metrics is change
        assert found[0][0] == found[1][0] and found[0][1] == pytest.approx(found[1][1], rel=1e-5)

    @pytest.mark.parametrize("held_out", [None, "dict", "unlabelled"])
    def test_without_a_set_for_them_old_thresholds_go(
        self, held_out: str | None, tmp_path: Path, classifier: tuple[Any, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        unlabelled = [{"input_ids": row["input_ids"]} for row in self.ROWS]
        sets = {None: None, "dict": {"a": self.MULTI}, "unlabelled": unlabelled}
        trainer = self.make(
            tmp_path, classifier[1], {"eval_strategy": "no"},
            {"train_dataset": self.MULTI, "eval_dataset": sets[held_out]},
            problem_type="multi_label_classification", thresholds=[0.1, 0.2],
        )  # fmt: skip
        trainer.train()
        assert trainer.model.config.thresholds is None
        assert "no thresholds are tuned: labels apply from 0.5 on" in caplog.text

    def test_a_model_that_gives_its_hidden_states_too(self, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        trainer = self.make(tmp_path, classifier[1], {}, {}, output_hidden_states=True)
        trainer.train()
        assert trainer.predict(self.ROWS).predictions.shape == (40, 2)
        logits, states = trainer.predict(self.ROWS, ignore_keys=[]).predictions
        assert logits.shape == (40, 2) and len(states) == 3

    def test_own_metrics_choose_by_the_loss_unless_told(self, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        own = {
            "compute_metrics": lambda answers: {"mine": float((answers.predictions == answers.label_ids).mean())},
            "preprocess_logits_for_metrics": lambda logits, labels: logits.argmax(dim=-1),
        }
        trainer = self.make(tmp_path, classifier[1], {}, own)
        trainer.train()
        assert trainer.args.metric_for_best_model == "loss" and trainer.state.best_metric < 1
        trainer = self.make(tmp_path, classifier[1], {"metric_for_best_model": "mine"}, own)
        trainer.train()
        assert trainer.state.best_metric == trainer.evaluate()["eval_mine"]

    def test_several_evaluation_sets(self, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        sets = {"eval_dataset": {"a": self.ROWS, "b": self.ROWS[:7]}}
        with pytest.raises(InputError, match="set metric_for_best_model, for instance to a_loss"):
            self.make(tmp_path, classifier[1], {}, sets)
        trainer = self.make(tmp_path, classifier[1], {"metric_for_best_model": "eval_b_accuracy"}, sets)
        trainer.train()
        assert trainer.state.best_metric == trainer.evaluate()["eval_b_accuracy"]

    def test_nothing_is_saved_where_told(self, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        self.make(tmp_path / "out", classifier[1], {"save_strategy": "no"}, {}).train()
        assert not list((tmp_path / "out").glob("checkpoint-*"))

    def test_early_stopping_counts_the_set_that_is_named(
        self, tmp_path: Path, classifier: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counted = []
        monkeypatch.setattr(
            "transformers.EarlyStoppingCallback.on_evaluate",
            lambda self, args, state, control, metrics, **_: counted.append(sorted(metrics)),
        )
        options = {"metric_for_best_model": "eval_b_accuracy", "early_stopping_patience": 9}
        sets = {"eval_dataset": {"a": self.ROWS, "b": self.ROWS[:7]}}
        self.make(tmp_path, classifier[1], options, sets).train()
        assert counted and all("eval_b_accuracy" in names for names in counted)

    def test_other_models_and_adapters_are_refused(self, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        """Adapters train what a strategy freezes, and a strategy what no adapter's file holds."""
        arguments = GloveBiLSTMTrainingArguments(output_dir=str(tmp_path), use_cpu=True, eval_strategy="no")
        other = BertForSequenceClassification(
            BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4)
        )
        with_adapters = GloveBiLSTMForSequenceClassification(classifier[0].config)
        with_adapters.peft_config = {"default": None}  # peft's mark
        for model, kind in (
            (other, "BertForSequenceClassification"),
            (with_adapters, "GloveBiLSTMForSequenceClassification"),
            (GloveBiLSTMModel(classifier[0].config), "GloveBiLSTMModel"),
            (torch.nn.DataParallel(classifier[0]), "DataParallel"),
        ):
            with pytest.raises(InputError, match=f"can't train this {kind}: .* without adapters"):
                GloveBiLSTMTrainer(model, arguments, train_dataset=self.ROWS)

    def test_other_arguments_are_refused(self, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        with pytest.raises(TypeError, match="must be GloveBiLSTMTrainingArguments"):
            GloveBiLSTMTrainer(model=classifier[0], args=TrainingArguments(output_dir=str(tmp_path)))

    def test_an_optimizer_without_the_embedding(self, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        """It was made while the embedding was frozen, and would never train it."""
        model = GloveBiLSTMForSequenceClassification(GloveBiLSTMConfig(vocab_size=9, embedding_dim=5, hidden_size=3))
        for strategy in ("finetune", "two_stage"):
            trained = [weight for weight in model.parameters() if weight.requires_grad]
            arguments = GloveBiLSTMTrainingArguments(
                output_dir=str(tmp_path),
                embedding_strategy=strategy,
                num_train_epochs=2,
                eval_strategy="no",
                use_cpu=True,
            )
            given: dict[str, Any] = {"train_dataset": self.ROWS, "eval_dataset": self.ROWS}
            with pytest.raises(InputError, match=f"{strategy} trains the embedding, which the optimizer .* doesn't"):
                GloveBiLSTMTrainer(model, arguments, optimizers=(torch.optim.AdamW(trained), None), **given)
            model.set_frozen(False)
            optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
            trainer = GloveBiLSTMTrainer(
                model, arguments, optimizers=(optimizer, None), processing_class=classifier[1], **given
            )
            before = model.get_input_embeddings().weight.detach().clone()
            trainer.train()
            assert not torch.equal(model.get_input_embeddings().weight, before)
            model.set_frozen(True)

    def test_a_schedule_that_is_made_before(self, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        rates = []
        for early in (False, True):
            trainer = self.make(
                tmp_path, classifier[1], {"embedding_strategy": "two_stage", "logging_steps": 1, "eval_strategy": "no",
                                          "logging_strategy": "steps", "num_train_epochs": 3}, {}
            )  # fmt: skip
            if early:
                trainer.create_optimizer_and_scheduler(6)
            trainer.train()
            rates.append([log["learning_rate"] for log in trainer.state.log_history if "learning_rate" in log])
        assert len(rates[0]) == 6 and rates[0] == rates[1]

    def test_class_weights_of_labels_in_tensors(self, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        rows = [{**row, "labels": torch.tensor(row["labels"])} for row in self.MULTI]
        found = []
        for given in (self.MULTI, rows):
            trainer = self.make(
                tmp_path, classifier[1], {"class_weights": "balanced"}, {"train_dataset": given},
                problem_type="multi_label_classification",
            )  # fmt: skip
            found.append(trainer._loss.class_weights)
        assert torch.equal(*found)

    @pytest.mark.parametrize(
        ("task", "message"),
        [
            ("single_label_classification", "task is single_label_.* first training row has a list for its label"),
            ("multi_label_classification", "task is multi_label_.* first training row has one for its label"),
        ],
    )
    def test_labels_of_another_task(
        self, task: str, message: str, tmp_path: Path, classifier: tuple[Any, Any]
    ) -> None:
        rows = self.MULTI if task.startswith("single") else self.ROWS
        given = {"train_dataset": rows, "eval_dataset": None}
        trainer = self.make(tmp_path, classifier[1], {"eval_strategy": "no"}, given, problem_type=task)
        with pytest.raises(InputError, match=message):
            trainer.train()

    @pytest.mark.parametrize("task", ["single_label_classification", "regression"])
    def test_labels_that_a_collator_makes(self, task: str, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
            ids = [torch.tensor(row["input_ids"]) for row in rows]
            labels = torch.tensor([row["mine"] for row in rows])
            return {"input_ids": torch.nn.utils.rnn.pad_sequence(ids, batch_first=True), "labels": labels}

        rows = [{"input_ids": row["input_ids"], "mine": row["labels"]} for row in self.ROWS]
        given = {"train_dataset": rows, "eval_dataset": rows, "data_collator": collate}
        told = {"remove_unused_columns": False}
        options = {"problem_type": task, "num_labels": 1 if task == "regression" else 2}
        assert self.make(tmp_path, classifier[1], told, given, **options).train().global_step == 2
        with pytest.raises(InputError, match="have none of label, labels, label_ids"):
            self.make(tmp_path, classifier[1], {**told, "class_weights": "balanced"}, given, **options)

    def test_texts_that_a_collator_tokenizes(self, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        rows = [(f"w{number % 5} w1", number % 2) for number in range(40)]

        def collate(batch: list[tuple[str, int]]) -> dict[str, Any]:
            texts, labels = zip(*batch, strict=True)
            return {**classifier[1](list(texts), padding=True, return_tensors="pt"), "labels": torch.tensor(labels)}

        given = {"train_dataset": rows, "eval_dataset": rows, "data_collator": collate}
        told = {"remove_unused_columns": False}
        assert self.make(tmp_path, None, {**told, "train_sampling_strategy": "random"}, given).train().global_step == 2
        with pytest.raises(InputError, match="have no input_ids, by whose number they could be grouped"):
            self.make(tmp_path, None, told, given).train()

    def test_rows_that_a_transform_makes(self, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        def tokenize(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
            return {"input_ids": [[2 + number % 5] * (1 + number % 3) for number in batch["n"]],
                    "labels": [float(number % 7) for number in batch["n"]]}  # fmt: skip

        rows = Dataset.from_dict({"n": list(range(40))}).with_transform(tokenize)
        given = {"train_dataset": rows, "eval_dataset": rows}
        told = {"remove_unused_columns": False}
        options: dict[str, Any] = {"problem_type": "regression", "num_labels": 1, "target_mean": 3.0}
        assert self.make(tmp_path, classifier[1], told, given, **options).train().global_step == 2

    def test_a_sampler_of_a_subclass(self, tmp_path: Path, classifier: tuple[Any, Any]) -> None:
        class Mine(GloveBiLSTMTrainer):
            def _get_train_sampler(self, train_dataset: Any = None) -> Any:
                return torch.utils.data.SequentialSampler(range(7))

        arguments = GloveBiLSTMTrainingArguments(
            output_dir=str(tmp_path), eval_strategy="no", use_cpu=True, train_sampling_strategy="random"
        )
        trainer = Mine(classifier[0], arguments, train_dataset=self.ROWS, processing_class=classifier[1])
        assert [len(batch["labels"]) for batch in trainer.get_train_dataloader()] == [7]

    def test_targets_in_other_units(
        self, tmp_path: Path, classifier: tuple[Any, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        for scale, told in ((1.0, False), (1000.0, True)):
            rows = [{**row, "labels": scale * number} for number, row in enumerate(self.ROWS)]
            trainer = self.make(
                tmp_path, classifier[1], {}, {"train_dataset": rows, "eval_dataset": rows}, num_labels=1,
                problem_type="regression", target_mean=18.0, target_std=12.0,
            )  # fmt: skip
            caplog.clear()
            trainer.train()
            assert ("it will hardly learn. Set target_mean" in caplog.text) == told

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
