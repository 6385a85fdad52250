import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    pipeline,
)

from glove_bilstm import (
    GloveBiLSTMConfig,
    GloveBiLSTMTrainer,
    GloveBiLSTMTrainingArguments,
    load_vectors,
)
from glove_bilstm.hub.folder import write_model_folder
from glove_bilstm.inference.bulk import classify_texts, predict_logits
from glove_bilstm.training.arguments import DataArguments, ModelArguments
from glove_bilstm.training.checkpoints import find_checkpoints, find_last_checkpoint
from glove_bilstm.training.run import TrainingResult, train_classifier
from glove_bilstm.vectors.drift import measure_drift


def train(output_dir: Path, dataset: Path, vectors: Path, overwrite: bool = False, **changes: Any) -> TrainingResult:
    """A run on the tiny data: a second or so."""
    data = {name: changes.pop(name) for name in ("max_length", "validation_share") if name in changes}
    words = {name: changes.pop(name) for name in ("pooling", "oov") if name in changes}
    arguments = GloveBiLSTMTrainingArguments(
        **{
            "output_dir": str(output_dir),
            "num_train_epochs": 3,
            "per_device_train_batch_size": 12,
            "learning_rate": 0.02,
            "use_cpu": True,
            "disable_tqdm": True,
            **changes,
        }
    )
    model = ModelArguments(vectors=vectors, hidden_size=6, embedding_dropout=0.1, **words)
    return train_classifier(DataArguments(dataset=dataset, **data), model, arguments, overwrite)


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, dataset_folder: Path, vectors_file: Path
) -> tuple[TrainingResult, Path]:
    """A model trained and saved once, for the tests that only look at it."""
    folder = tmp_path_factory.mktemp("trained")
    result = train(folder, dataset_folder, vectors_file)
    write_model_folder(result, folder)
    return result, folder


class TestRun:
    def test_learns_and_measures(self, trained: tuple[TrainingResult, Path]) -> None:
        result, _ = trained
        assert result.metrics["eval_accuracy"] > 0.9 and result.metrics["test_accuracy"] > 0.9
        assert set(result.figures) == {"validation", "test"} and "train_loss" not in result.metrics
        assert result.figures["test"]["accuracy"] == result.metrics["test_accuracy"]

    def test_its_answers_are_in_the_order_of_the_texts(self, trained: tuple[TrainingResult, Path]) -> None:
        result, _ = trained
        assert set(result.answers) == {"validation", "test"}
        for split, answers in result.answers.items():
            rows = result.data.splits[split]
            expected = torch.stack(list(predict_logits(result.model, result.tokenizer, rows["text"][:])))
            np.testing.assert_allclose(answers.logits, expected, atol=1e-5)
            assert answers.references.tolist() == rows["label"][:]

    def test_folder_holds_what_it_should(self, trained: tuple[TrainingResult, Path]) -> None:
        _, folder = trained
        files = {file.name for file in folder.iterdir() if not file.name.startswith("checkpoint-")}
        assert files == {
            "README.md",
            "all_results.json",
            "config.json",
            "configuration_glove_bilstm.py",
            "confusion_matrix.png",
            "coverage.json",
            "handler.py",
            "model.safetensors",
            "modeling_glove_bilstm.py",
            "reliability.png",
            "tokenizer.json",
            "tokenizer_config.json",
        }
        assert len(list(folder.glob("checkpoint-*"))) in (1, 2)  # the best, and the last where that is another

    def test_others_may_read_all_of_it(self, trained: tuple[TrainingResult, Path]) -> None:
        """The safetensors library makes a file for its owner alone."""
        _, folder = trained
        files = [file for file in folder.iterdir() if file.is_file()]
        assert {file.stat().st_mode for file in files} == {(folder / "config.json").stat().st_mode}

    def test_config_tells_labels_and_provenance(
        self, trained: tuple[TrainingResult, Path], vectors_file: Path
    ) -> None:
        config = GloveBiLSTMConfig.from_pretrained(trained[1])
        assert config.id2label == {0: "neg", 1: "pos"} and config.label2id == {"neg": 0, "pos": 1}
        assert config.problem_type == "single_label_classification"
        assert config.word_vectors["name"] == "tiny.7d" and config.word_vectors["dim"] == 7
        assert len(config.word_vectors["sha256"]) == 64
        assert config.word_vectors["coverage"] == {"types": 1.0, "tokens": 1.0}

    def test_frozen_rows_are_those_of_the_file(self, trained: tuple[TrainingResult, Path], vectors_file: Path) -> None:
        weight = load_file(trained[1] / "model.safetensors")["glove_bilstm.embeddings.weight"]
        vocabulary = AutoTokenizer.from_pretrained(trained[1]).get_vocab()
        vectors = load_vectors(vectors_file)
        known = [word for word in vocabulary if word in vectors and word != "<unk>"]
        assert len(known) > 15
        for word in known:
            assert np.array_equal(weight[vocabulary[word]].numpy(), vectors[word])
        assert not weight[0].any()

    def test_finetuned_rows_move_and_padding_stays_zero(
        self, tmp_path: Path, dataset_folder: Path, vectors_file: Path
    ) -> None:
        result = train(tmp_path, dataset_folder, vectors_file, embedding_strategy="finetune", weight_decay=0.3)
        weight = result.model.get_input_embeddings().weight
        assert not weight[0].any()
        row = result.tokenizer.get_vocab()["good"]
        assert not np.array_equal(weight[row].detach().numpy(), load_vectors(vectors_file)["good"])
        assert not result.model.config.freeze_embeddings
        words = result.tokenizer.convert_ids_to_tokens(range(2, len(weight)))
        before = np.stack([load_vectors(vectors_file)[word] for word in words])
        expected = measure_drift(words, before, weight[2:].detach().numpy(), None).most_moved
        assert result.drift is not None and any(one.nearest_before != one.nearest_after for one in expected)
        for ours, theirs in zip(result.drift.most_moved, expected, strict=True):
            assert (ours.word, ours.nearest_before, ours.nearest_after) == (
                theirs.word,
                theirs.nearest_before,
                theirs.nearest_after,
            )

    def test_trained_model_answers_everywhere_the_same(self, trained: tuple[TrainingResult, Path]) -> None:
        _, folder = trained
        model = AutoModelForSequenceClassification.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        texts = ["a great film", "", "really awful acting , and dull", " \t", "unheard-of", "good " * 50]
        expected = list(classify_texts(model, tokenizer, texts, batch_size=2))
        answers = pipeline("text-classification", model=str(folder), device="cpu")(texts)
        for answer, other in zip(answers, expected, strict=True):
            assert answer["label"] == other["label"]
            assert answer["score"] == pytest.approx(other["score"], abs=1e-5)
        assert [answer["label"] for answer in answers][::2][:2] == ["pos", "neg"]

    def test_all_results_and_coverage_and_card(self, trained: tuple[TrainingResult, Path]) -> None:
        result, folder = trained
        assert json.loads((folder / "all_results.json").read_text()) == result.metrics
        coverage = json.loads((folder / "coverage.json").read_text())
        assert set(coverage) == {"train", "validation", "test"} and coverage["test"]["token_share"] == 1.0
        card = (folder / "README.md").read_text()
        assert f"| accuracy | {result.metrics['eval_accuracy']:.4f} | {result.metrics['test_accuracy']:.4f} |" in card
        assert result.model.config.word_vectors["sha256"] in card
        assert "{{ " not in card and "{%" not in card and str(folder.parent) not in card
        assert "LINEAR" not in card
        assert "The embedding was frozen" in card

    @pytest.mark.slow
    def test_same_seed_same_numbers(self, tmp_path: Path, dataset_folder: Path, vectors_file: Path) -> None:
        first, second, other = (
            train(tmp_path / str(number), dataset_folder, vectors_file, seed=seed).model.state_dict()
            for number, seed in enumerate((5, 5, 6))
        )
        assert all(torch.equal(first[name], second[name]) for name in first)
        assert not torch.equal(first["classifier.weight"], other["classifier.weight"])

    @pytest.mark.parametrize("strategy", ["frozen", "finetune"])
    def test_interrupted_and_resumed_gives_the_same_numbers(
        self, strategy: str, tmp_path: Path, dataset_folder: Path, vectors_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Interrupted in the middle of an epoch, three steps after a checkpoint."""
        options: dict[str, Any] = {
            "embedding_strategy": strategy,
            "eval_strategy": "steps",
            "save_strategy": "steps",
            "eval_steps": 3,
            "save_steps": 3,
            "load_best_model_at_end": False,
        }
        expected = train(tmp_path / "whole", dataset_folder, vectors_file, **options)
        step = GloveBiLSTMTrainer.training_step
        steps = 0

        def interrupted(self: GloveBiLSTMTrainer, *args: Any, **kwargs: Any) -> torch.Tensor:
            nonlocal steps
            steps += 1
            if steps == 14:
                raise KeyboardInterrupt
            return step(self, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(GloveBiLSTMTrainer, "training_step", interrupted)
            with pytest.raises(KeyboardInterrupt):
                train(tmp_path / "cut", dataset_folder, vectors_file, **options)
        last = find_last_checkpoint(tmp_path / "cut")
        assert last is not None and last.name == "checkpoint-12"
        AutoModelForSequenceClassification.from_pretrained(last)
        resumed = train(tmp_path / "cut", dataset_folder, vectors_file, resume_from_checkpoint="last", **options)
        for name, tensor in expected.model.state_dict().items():
            assert torch.equal(tensor, resumed.model.state_dict()[name]), name
        assert resumed.metrics["test_loss"] == expected.metrics["test_loss"]

    def test_the_best_checkpoint_is_kept(self, tmp_path: Path, dataset_folder: Path, vectors_file: Path) -> None:
        # So high a learning rate that the last epoch isn't the best one.
        result = train(tmp_path, dataset_folder, vectors_file, learning_rate=0.3, num_train_epochs=5, seed=3)
        state = json.loads((find_last_checkpoint(tmp_path) / "trainer_state.json").read_text())
        accuracies = [log["eval_accuracy"] for log in state["log_history"] if "eval_accuracy" in log]
        assert result.metrics["eval_accuracy"] == max(accuracies) == state["best_metric"]

    def test_without_the_best_checkpoint_a_run_does_not_go_on(
        self, tmp_path: Path, dataset_folder: Path, vectors_file: Path
    ) -> None:
        # With nothing learnt the first is the best: none is better.
        options: dict[str, Any] = {"learning_rate": 0.0, "num_train_epochs": 3, "early_stopping_patience": 0}
        options["save_total_limit"] = 2
        expected = train(tmp_path / "whole", dataset_folder, vectors_file, **options)
        moved = tmp_path / "moved"
        (tmp_path / "whole").rename(moved)
        options["resume_from_checkpoint"] = "last"
        resumed = train(moved, dataset_folder, vectors_file, **options)
        assert resumed.best_step == expected.best_step
        best = moved / f"checkpoint-{expected.best_step}"
        assert best != find_last_checkpoint(moved)
        shutil.rmtree(best)
        with pytest.raises(ValueError, match=f"best checkpoint so far is {best.name}, and that isn't beside it"):
            train(moved, dataset_folder, vectors_file, **options)

    def test_stops_early(self, tmp_path: Path, dataset_folder: Path, vectors_file: Path) -> None:
        result = train(
            tmp_path, dataset_folder, vectors_file, learning_rate=0.0, num_train_epochs=9, early_stopping_patience=2
        )
        assert result.metrics["epoch"] == 3

    @pytest.mark.slow
    def test_stops_as_early_when_resumed(self, tmp_path: Path, dataset_folder: Path, vectors_file: Path) -> None:
        """A resumed run goes on counting; one that had come to its end stays there."""
        options: dict[str, Any] = {
            "learning_rate": 0.0,
            "num_train_epochs": 9,
            "early_stopping_patience": 3,
            "save_total_limit": 9,
            "eval_on_start": True,
        }
        expected = train(tmp_path / "whole", dataset_folder, vectors_file, **options)
        checkpoints = find_checkpoints(tmp_path / "whole")
        assert len(checkpoints) == 4
        for number in range(1, 5):
            cut = tmp_path / f"cut{number}"
            for checkpoint in checkpoints[:number]:
                shutil.copytree(checkpoint, cut / checkpoint.name)
            resumed = train(cut, dataset_folder, vectors_file, resume_from_checkpoint="last", **options)
            assert resumed.steps == expected.steps, number
            assert resumed.best_step == expected.best_step

    def test_folders_that_hold_something(self, tmp_path: Path, dataset_folder: Path, vectors_file: Path) -> None:
        result = train(tmp_path, dataset_folder, vectors_file, num_train_epochs=1)
        with pytest.raises(ValueError, match="holds an interrupted run .*--resume_from_checkpoint"):
            train(tmp_path, dataset_folder, vectors_file)
        write_model_folder(result, tmp_path)
        with pytest.raises(ValueError, match="already holds a model.*--overwrite"):
            train(tmp_path, dataset_folder, vectors_file)
        (tmp_path / "checkpoint-999").mkdir()
        for overwrite in (False, True):  # a mistake costs nothing
            with pytest.raises(ValueError, match="already holds a model|There is no vectors file"):
                train(tmp_path, dataset_folder, tmp_path / "typo.txt", overwrite=overwrite)
        assert (tmp_path / "checkpoint-999").exists()
        train(tmp_path, dataset_folder, vectors_file, overwrite=True, num_train_epochs=1)
        assert not (tmp_path / "checkpoint-999").exists()
        (tmp_path / "checkpoint-mine").mkdir()
        with pytest.raises(ValueError, match="checkpoint-mine isn't a checkpoint of a training run"):
            train(tmp_path, dataset_folder, vectors_file, overwrite=True)
        (tmp_path / "checkpoint-mine").rmdir()
        with pytest.raises(ValueError, match="There is no complete checkpoint to resume from in"):
            train(tmp_path / "new", dataset_folder, vectors_file, resume_from_checkpoint="last")
        resume: dict[str, Any] = {"resume_from_checkpoint": "last"}
        with pytest.raises(ValueError, match="was made with pooling last and this run has max"):
            train(tmp_path, dataset_folder, vectors_file, pooling="max", **resume)
        with pytest.raises(ValueError, match="was made with freeze_embeddings True and this run has False"):
            train(tmp_path, dataset_folder, vectors_file, embedding_strategy="finetune", **resume)
        others = {"max_length": 4, "min_steps": 99, "validation_share": 0.2, "metric_for_best_model": "f1"}
        others["neftune_noise_alpha"] = 3.0
        for name, value in others.items():
            with pytest.raises(ValueError, match=f"was made with --{name} .* and this run has {value}"):
                train(tmp_path, dataset_folder, vectors_file, num_train_epochs=1, **{name: value}, **resume)
        with pytest.raises(ValueError, match="was made with --oov normal and this run has zeros"):
            train(tmp_path, dataset_folder, vectors_file, num_train_epochs=1, oov="zeros", **resume)
        flipped = tmp_path / "flipped"
        flipped.mkdir()
        for file in dataset_folder.iterdir():
            swapped = file.read_text().replace('"pos"', "#").replace('"neg"', '"pos"').replace("#", '"neg"')
            (flipped / file.name).write_text(swapped)
        with pytest.raises(ValueError, match="was made with other texts or labels"):
            train(tmp_path, flipped, vectors_file, num_train_epochs=1, **resume)
        renamed = tmp_path / "renamed"
        renamed.mkdir()
        for file in dataset_folder.iterdir():
            (renamed / file.name).write_text(file.read_text().replace('"pos"', '"positive"'))
        with pytest.raises(ValueError, match="was made with id2label .*'pos'.* and this run has .*'positive'"):
            train(tmp_path, renamed, vectors_file, num_train_epochs=1, **resume)
        other = tmp_path / "tiny.7d"
        other.write_text(vectors_file.read_text().replace("0.1", "0.2"))
        with pytest.raises(ValueError, match="was made with word_vectors"):
            train(tmp_path, dataset_folder, other, **resume)
        # Two words change places: every size and the coverage stay as they were, the ids don't.
        data = tmp_path / "data"
        data.mkdir()
        for file in dataset_folder.iterdir():
            swapped = file.read_text().replace("plot", "#").replace("the", "plot").replace("#", "the")
            (data / file.name).write_text(swapped)
        with pytest.raises(ValueError, match="was made with another vocabulary"):
            train(tmp_path, data, vectors_file, **resume)

    def test_a_run_from_elsewhere_replaces_what_is_there(
        self, tmp_path: Path, dataset_folder: Path, vectors_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stop(*args: Any, **kwargs: Any) -> None:
            raise KeyboardInterrupt

        # With nothing learnt the first checkpoint is the best.
        options: dict[str, Any] = {"learning_rate": 0.0, "early_stopping_patience": 0, "save_total_limit": 9}
        here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
        for folder in (here, elsewhere):
            train(folder, dataset_folder, vectors_file, **options)
        best, second, _ = find_checkpoints(elsewhere)
        options |= {"resume_from_checkpoint": str(second), "overwrite": True}
        with monkeypatch.context() as patch:
            patch.setattr(GloveBiLSTMTrainer, "training_step", stop)
            with pytest.raises(KeyboardInterrupt, match="No checkpoint was complete yet"):
                train(here, dataset_folder, vectors_file, **options)
        assert find_checkpoints(here) == []
        # What the run began from may be a copy, without the best one, which is kept then.
        copied = tmp_path / "copied" / second.name
        shutil.copytree(second, copied)
        options["resume_from_checkpoint"] = str(copied)
        result = train(elsewhere, dataset_folder, vectors_file, **options)
        assert [result.best_step, result.steps] == [int(folder.name[11:]) for folder in find_checkpoints(elsewhere)]
        assert best.exists()

    def test_interrupted_while_a_checkpoint_is_written(
        self, tmp_path: Path, dataset_folder: Path, vectors_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save = GloveBiLSTMTrainer._save_rng_state

        def interrupted(self: GloveBiLSTMTrainer, output_dir: str) -> None:
            if self.state.global_step == 16:
                raise KeyboardInterrupt
            save(self, output_dir)

        monkeypatch.setattr(GloveBiLSTMTrainer, "_save_rng_state", interrupted)
        with pytest.raises(KeyboardInterrupt, match=r"The last complete checkpoint is .*checkpoint-8; --resume_from"):
            train(tmp_path, dataset_folder, vectors_file)
        assert [folder.name for folder in find_checkpoints(tmp_path)] == ["checkpoint-8"]

    def test_the_last_weights_are_not_called_the_best(
        self, tmp_path: Path, dataset_folder: Path, vectors_file: Path
    ) -> None:
        result = train(tmp_path, dataset_folder, vectors_file, load_best_model_at_end=False, num_train_epochs=1)
        assert result.best_step is None and result.steps == 8

    def test_a_checkpoint_of_weights_alone(self, tmp_path: Path, dataset_folder: Path, vectors_file: Path) -> None:
        options: dict[str, Any] = {"num_train_epochs": 1, "save_only_model": True}
        train(tmp_path, dataset_folder, vectors_file, **options)
        with pytest.raises(ValueError, match="no state of the optimizer"):
            train(tmp_path, dataset_folder, vectors_file, resume_from_checkpoint="last", **options)

    def test_what_a_killed_writer_left(
        self, tmp_path: Path, dataset_folder: Path, vectors_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left = tmp_path / ".incomplete-abc"
        for name in ("new", "old"):
            (left / name).mkdir(parents=True)
            (left / name / "config.json").write_text(name)
        result = train(tmp_path, dataset_folder, vectors_file, num_train_epochs=1)
        with monkeypatch.context() as patch, pytest.raises(TypeError):
            patch.setattr("glove_bilstm.hub.folder.make_card", None)
            write_model_folder(result, tmp_path)
        assert not left.exists() and (tmp_path / "config.json").read_text() == "old"
        write_model_folder(result, tmp_path)
        assert json.loads((tmp_path / "config.json").read_text())["hidden_size"] > 0

    def test_half_written_checkpoints_are_told_apart(self, tmp_path: Path) -> None:
        for name, complete in (("checkpoint-9", True), ("checkpoint-10", True), ("checkpoint-11", False)):
            (tmp_path / name).mkdir()
            if complete:
                (tmp_path / name / "trainer_state.json").touch()
        assert find_last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
        (tmp_path / "checkpoint-best").mkdir()
        (tmp_path / "checkpoint-12").touch()
        assert [folder.name for folder in find_checkpoints(tmp_path)] == [f"checkpoint-{n}" for n in (9, 10, 11)]

    def test_a_failed_save_leaves_the_old_model(
        self, trained: tuple[TrainingResult, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result, folder = trained
        write_model_folder(result, tmp_path)
        before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

        def full_disk(*args: Any, **kwargs: Any) -> None:
            raise OSError("No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("glove_bilstm.hub.folder.make_card", full_disk)
            with pytest.raises(OSError, match="No space"):
                write_model_folder(result, tmp_path)
            assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before

    @pytest.mark.slow
    def test_a_save_interrupted_at_any_move_leaves_the_old_model(
        self, trained: tuple[TrainingResult, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result, _ = trained
        write_model_folder(result, tmp_path)
        before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
        replace = os.replace
        for stop in range(1, 2 * len(before) + 1):
            moves = 0

            def interrupted(source: Path, target: Path, stop: int = stop) -> None:
                nonlocal moves
                moves += 1
                if moves == stop:
                    raise KeyboardInterrupt
                if 1 < moves < stop:  # in between, nothing can be taken for a model
                    assert not (tmp_path / "config.json").exists()
                replace(source, target)

            with monkeypatch.context() as patch:
                patch.setattr("glove_bilstm.hub.folder.write_json", lambda file, content: file.write_text("new"))
                patch.setattr("glove_bilstm.hub.folder.os.replace", interrupted)
                with pytest.raises(KeyboardInterrupt):
                    write_model_folder(result, tmp_path)
            assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
