"""Each option reaches what it is meant for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from helpers import BAD, FILLERS, GOOD, write_jsonl

from glove_bilstm import GloveBiLSTMTrainer, GloveBiLSTMTrainingArguments, embedding_matrix, load_vectors
from glove_bilstm.hub.folder import write_model_folder
from glove_bilstm.inference.loading import load_classifier
from glove_bilstm.training.arguments import DataArguments, ModelArguments
from glove_bilstm.training.run import TrainingResult, train_classifier


def train(folder: Path, data: Path | DataArguments, vectors: Path | ModelArguments, **changes: Any) -> TrainingResult:
    """One step, unless told otherwise."""
    arguments = GloveBiLSTMTrainingArguments(
        **{"output_dir": str(folder), "max_steps": 1, "disable_tqdm": True, "use_cpu": True, **changes}
    )
    return train_classifier(
        data if isinstance(data, DataArguments) else DataArguments(dataset=data),
        vectors if isinstance(vectors, ModelArguments) else ModelArguments(vectors=vectors, hidden_size=3),
        arguments,
        overwrite=True,
    )


class TestVocabulary:
    def test_sizes(self, tmp_path: Path, dataset_folder: Path, vectors_file: Path) -> None:
        sizes = {}
        for name, changes in {
            "all": {},
            "no extra": {"extra_words": 0},
            "frequent": {"min_frequency": 30, "extra_words": 0},
            "few": {"max_vocabulary": 3, "extra_words": 0},
        }.items():
            model = ModelArguments(vectors=vectors_file, hidden_size=3, **changes)
            sizes[name] = train(tmp_path / name, dataset_folder, model).model.config.vocab_size
        # The data set has 21 words, all of them in the vectors file; and there are <pad> and <unk>.
        assert sizes["all"] == sizes["no extra"] == 23 and sizes["few"] == 5
        assert 2 < sizes["frequent"] < 23

    def test_rare_words_without_a_vector_are_unknown(
        self, tmp_path: Path, vectors_file: Path, make_rows: Callable
    ) -> None:
        rows = make_rows(40, 1)
        for number, word in enumerate(["once", "twice", "twice", "thrice", "thrice", "thrice"]):
            rows[number]["text"] += f" {word}"
        write_jsonl(tmp_path / "data" / "train.jsonl", rows)
        write_jsonl(tmp_path / "data" / "validation.jsonl", make_rows(20, 2))
        for least, words in ((1, {"once", "twice", "thrice"}), (2, {"twice", "thrice"}), (4, set())):
            model = ModelArguments(vectors=vectors_file, hidden_size=3, min_frequency_without_vector=least)
            result = train(tmp_path / "out", tmp_path / "data", model, embedding_strategy="finetune", max_steps=9)
            vocabulary = result.tokenizer.get_vocab()
            assert set(vocabulary) == {"<pad>", "<unk>", *FILLERS, *GOOD, *BAD, *words}
            # What is left out trains the unknown word's vector, which is the mean of the others before.
            matrix, _ = embedding_matrix(vocabulary, load_vectors(vectors_file))
            trained = result.model.get_input_embeddings().weight[1].detach().numpy()
            assert np.array_equal(trained, matrix[1]) == (least == 1)

    def test_extra_words_come_from_the_head_of_the_file(
        self, tmp_path: Path, vectors_file: Path, make_rows: Callable
    ) -> None:
        file = write_jsonl(tmp_path / "mine.jsonl", make_rows(40, 1))
        row = " ".join(["0.5"] * 7)
        (tmp_path / "v.txt").write_text(f"rare {row}\n{vectors_file.read_text()}rarer {row}\n")
        for number, words in ((0, set()), (1, {"rare"}), (99, {"rare", "rarer"})):
            model = ModelArguments(vectors=tmp_path / "v.txt", hidden_size=3, extra_words=number)
            vocabulary = train(tmp_path / str(number), file, model).tokenizer.get_vocab()
            assert {"rare", "rarer"} & set(vocabulary) == words


class TestRun:
    def test_seed_and_max_length(
        self, tmp_path: Path, vectors_file: Path, make_rows: Callable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = make_rows(40, 1)
        rows[0]["text"] = "unheard-of " * 5 + rows[0]["text"]
        write_jsonl(tmp_path / "data" / "train.jsonl", rows)
        write_jsonl(tmp_path / "data" / "validation.jsonl", make_rows(20, 2))
        lengths = {}
        original = GloveBiLSTMTrainer.__init__

        def spy(self: GloveBiLSTMTrainer, **options: Any) -> None:
            for name in ("train_dataset", "eval_dataset"):
                lengths[name] = max(len(ids) for ids in options[name]["input_ids"])
            original(self, **options)

        monkeypatch.setattr(GloveBiLSTMTrainer, "__init__", spy)
        drawn = []
        for seed in (1, 1, 2):
            data = DataArguments(dataset=tmp_path / "data", max_length=4)
            result = train(tmp_path / "out", data, vectors_file, seed=seed)
            row = result.tokenizer.get_vocab()["unheard-of"]
            drawn.append(result.model.get_input_embeddings().weight[row].detach())
        assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
        # Training texts are cut, and no others.
        assert lengths["train_dataset"] == 4 and lengths["eval_dataset"] > 4
        # Each split's coverage is counted in its own texts.
        assert result.coverage["train"].missing == [("unheard-of", 5)] and result.coverage["validation"].missing == []
        words = sum(len(row["text"].split()) for row in make_rows(20, 2))
        assert result.coverage["validation"].tokens_total == words

    @pytest.mark.parametrize("strategy", ["no", "steps"])
    def test_eval_strategy_alone(
        self, strategy: str, tmp_path: Path, dataset_folder: Path, vectors_file: Path
    ) -> None:
        result = train(tmp_path, dataset_folder, vectors_file, eval_strategy=strategy, eval_steps=2, max_steps=4)
        assert "eval_accuracy" in result.metrics

    def test_metric_for_best_model(self, tmp_path: Path, dataset_folder: Path, vectors_file: Path) -> None:
        with pytest.raises(ValueError, match="no metric 'nonsense' .* there are: loss, accuracy, f1"):
            train(tmp_path, dataset_folder, vectors_file, metric_for_best_model="nonsense")
        result = train(tmp_path, dataset_folder, vectors_file, metric_for_best_model="loss")
        assert result.arguments[2].greater_is_better is False
        assert train(tmp_path, dataset_folder, vectors_file).arguments[2].metric_for_best_model == "accuracy"

    @pytest.mark.parametrize(
        ("labels", "metric", "wrong"), [([["a"], []], "f1", "matthews_correlation"), ([0.5, 1.5], "r2", "accuracy")]
    )
    def test_the_best_model_of_other_tasks(
        self, labels: list, metric: str, wrong: str, tmp_path: Path, vectors_file: Path, make_rows: Callable
    ) -> None:
        rows = [{**row, "label": labels[row["label"] == "pos"]} for row in make_rows(60, 1)]
        data = write_jsonl(tmp_path / "mine.jsonl", rows)
        result = train(tmp_path / "out", data, vectors_file)
        assert result.arguments[2].metric_for_best_model == metric and result.arguments[2].greater_is_better
        with pytest.raises(ValueError, match=f"no metric '{wrong}' .* there are: loss, .*{metric}"):
            train(tmp_path / "out", data, vectors_file, metric_for_best_model=wrong)
        if metric == "r2":
            result = train(tmp_path / "out", data, vectors_file, metric_for_best_model="eval_mae")
            assert result.arguments[2].greater_is_better is False
            assert "eval_r2" in train(tmp_path / "out", data, vectors_file, eval_strategy="no").metrics

    def test_a_class_may_have_any_name(self, tmp_path: Path, vectors_file: Path, make_rows: Callable) -> None:
        names = {"pos": "steps_per_second", "neg": "a|b\nruntime"}
        rows = [{"text": row["text"], "label": names[row["label"]]} for row in make_rows(60, 1)]
        result = train(tmp_path / "out", write_jsonl(tmp_path / "mine.jsonl", rows), vectors_file)
        assert "f1_steps_per_second" in result.figures["validation"]
        write_model_folder(result, tmp_path / "out")
        assert "| a\\|b runtime | " in (tmp_path / "out" / "README.md").read_text()
        model, _ = load_classifier(str(tmp_path / "out"))
        assert model.config.id2label == {0: "a|b\nruntime", 1: "steps_per_second"}

    def test_ranges(self) -> None:
        for wrong in ({"validation_share": 1.0}, {"validation_share": -0.5}, {"max_length": 0}):
            with pytest.raises(ValueError, match="must"):
                DataArguments(**wrong)
        with pytest.raises(ValueError, match="--problem_type ranking is none of single_label_classification, multi"):
            DataArguments(problem_type=cast(Any, "ranking"))
        for wrong in (
            {"min_frequency": 0},
            {"min_frequency_without_vector": 0},
            {"max_vocabulary": -3},
            {"extra_words": -1},
        ):
            with pytest.raises(ValueError, match="must be at least"):
                ModelArguments(**wrong)
        for name, value, message in (
            ("train_sampling_strategy", "bogus", "is none of random"),
            ("num_train_epochs", 0, "Nothing would be trained"),
            ("early_stopping_patience", -1, "must not be negative"),
            ("embedding_strategy", "thaw", "is none of frozen, finetune, two_stage"),
        ):
            with pytest.raises(ValueError, match=message):
                GloveBiLSTMTrainingArguments(output_dir="x", **{name: value})
        for told, message in (
            ({"early_stopping_patience": 2, "eval_strategy": "no"}, "early_stopping_patience means nothing where"),
            ({"early_stopping_patience": 2, "load_best_model_at_end": False}, "early_stopping_patience means nothing"),
            ({"hub_strategy": "checkpoint"}, "hub_strategy must be end; checkpoint would push pickles"),
            ({"min_steps": 30, "max_steps": 10}, "min_steps 30 means nothing beside max_steps 10"),
            ({"embedding_strategy": "finetune", "learning_rate": float("nan")}, "^learning_rate must be a number abo"),
        ):
            with pytest.raises(ValueError, match=message):
                GloveBiLSTMTrainingArguments(output_dir="x", **told)

    def test_patience_where_it_can_mean_something(self) -> None:
        for told, patience in (({}, 4), ({"eval_strategy": "no"}, 0), ({"early_stopping_patience": 0}, 0)):
            assert GloveBiLSTMTrainingArguments(output_dir="x", **told).early_stopping_patience == patience
        usual = GloveBiLSTMTrainingArguments(output_dir="x")
        assert replace(usual, eval_strategy="no", load_best_model_at_end=False).early_stopping_patience == 0
