"""The configuration; what saving, loading and moving a model keep."""

import itertools
from pathlib import Path
from typing import Any

import accelerate
import pytest
import torch
from tiny_model import POOLINGS, make_batch, make_model
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from glove_bilstm import GloveBiLSTMConfig, GloveBiLSTMForSequenceClassification


class TestConfig:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"hidden_size": 0}, "hidden_size must be at least 1"),
            ({"embedding_dropout": 1.5}, "embedding_dropout must be between 0 and 1"),
            ({"pooling": "first"}, "pooling"),
            ({"vocab_size": "many"}, "vocab_size"),
            ({"pad_token_id": 50, "vocab_size": 50}, "pad_token_id must be a row of the embedding, 0 to 49; it is 50"),
            ({"pad_token_id": -1}, "pad_token_id must be a row"),
            ({"unk_token_id": 0}, "unk_token_id must be 0 or more and another than padding's, 0; it is 0"),
            ({"unk_token_id": -1}, "unk_token_id must be 0 or more and another than padding's, 0; it is -1"),
            ({"num_labels": 0}, "num_labels must be at least 1; it is 0"),
            ({"problem_type": "regresion"}, "problem_type must be one of regression, .*; it is 'regresion'"),
            ({"thresholds": [0.1]}, "There are 1 thresholds for 2 labels"),
            ({"thresholds": [0.1, 1.5]}, "A threshold must be between 0 and 1; one is 1.5"),
            ({"thresholds": [0.1, float("nan")]}, "A threshold must be between 0 and 1; one is nan"),
            ({"target_std": 0}, "target_std must be a finite number above 0; it is 0"),
            ({"target_mean": float("inf")}, "target_mean must be a finite number; it is inf"),
        ],
    )
    def test_nonsense_is_refused(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(Exception, match=message):
            GloveBiLSTMConfig(**changes)

    def test_round_trip(self, tmp_path: Path) -> None:
        config = GloveBiLSTMConfig(
            vocab_size=99,
            embedding_dropout=0,
            id2label={0: "no", 1: "yes"},
            label2id={"no": 0, "yes": 1},
            word_vectors={"name": "glove.6B.50d", "dim": 50},
            thresholds=[1 / 3, 0.1 + 0.2],
            target_mean=1e6 / 7,
            target_std=2**0.5,
        )
        config.save_pretrained(tmp_path)
        loaded = AutoConfig.from_pretrained(tmp_path)
        assert type(loaded) is GloveBiLSTMConfig
        assert loaded.to_diff_dict() == config.to_diff_dict()
        assert loaded.thresholds == [1 / 3, 0.1 + 0.2] and (loaded.target_mean, loaded.target_std) == (1e6 / 7, 2**0.5)
        assert set(loaded.auto_map) == {"AutoConfig", "AutoModel", "AutoModelForSequenceClassification"}

    def test_a_threshold_may_be_the_least_and_the_most(self) -> None:
        """As tuning gives it to a label that applies to all texts."""
        assert GloveBiLSTMConfig(thresholds=[0.0, 1]).thresholds == [0.0, 1]

    @pytest.mark.parametrize(
        ("changes", "kept"),
        [
            ({"id2label": {0: "a", 1: "b", 2: "c"}}, False),
            ({"id2label": {0: "yes", 1: "no"}}, False),
            ({"num_labels": 3}, False),
            ({"id2label": {"0": "no", "1": "yes"}, "num_labels": 2}, True),
            ({"embedding_dropout": 0.1}, True),
        ],
    )
    def test_other_labels_leave_out_thresholds(self, changes: dict[str, Any], kept: bool, tmp_path: Path) -> None:
        names = {0: "no", 1: "yes"}
        GloveBiLSTMConfig(id2label=names, label2id={"no": 0, "yes": 1}, thresholds=[0.2, 0.3]).save_pretrained(
            tmp_path
        )
        loaded = AutoConfig.from_pretrained(tmp_path, **changes)
        assert loaded.thresholds == ([0.2, 0.3] if kept else None)
        loaded.save_pretrained(tmp_path / "again")

    def test_the_number_of_labels_alone_keeps_thresholds(self, tmp_path: Path) -> None:
        """Two labels without names, which the file doesn't hold."""
        GloveBiLSTMConfig(thresholds=[0.2, 0.3]).save_pretrained(tmp_path)
        assert AutoConfig.from_pretrained(tmp_path, num_labels=2).thresholds == [0.2, 0.3]
        assert AutoConfig.from_pretrained(tmp_path, num_labels=3).thresholds is None


class TestSaving:
    @pytest.mark.parametrize("pooling", POOLINGS)
    def test_reloaded_logits_are_bit_equal(self, pooling: str, tmp_path: Path) -> None:
        model = make_model(pooling=pooling)
        model.save_pretrained(tmp_path)
        assert sorted(file.name for file in tmp_path.iterdir()) == [
            "config.json",
            "configuration_glove_bilstm.py",
            "model.safetensors",
            "modeling_glove_bilstm.py",
        ]
        ids, mask = make_batch()
        loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
        assert torch.equal(loaded(ids, mask).logits, model(ids, mask).logits)

    def test_a_derived_class_brings_the_code_that_its_configuration_names(self, tmp_path: Path) -> None:
        class Derived(GloveBiLSTMForSequenceClassification):
            pass

        Derived.__module__ = "__main__"  # as in a notebook
        model = Derived(make_model().config)
        for number, saved in enumerate((model, model.config)):
            saved.save_pretrained(tmp_path / str(number))
            names = {file.name for file in (tmp_path / str(number)).iterdir()}
            assert {"configuration_glove_bilstm.py", "modeling_glove_bilstm.py"} <= names

    def test_weights_without_a_place_are_told(self, tmp_path: Path) -> None:
        make_model(pooling="attention").save_pretrained(tmp_path)
        for auto, told in ((AutoModelForSequenceClassification, 3), (AutoModel, 0)):
            info = auto.from_pretrained(tmp_path, pooling="mean", output_loading_info=True)[1]
            assert len(info["unexpected_keys"]) == told

    def test_loaded_weights_are_aligned_in_memory(self, tmp_path: Path) -> None:
        """Else kernels may sum in another order, and logits differ in the last bit, for one model in a hundred."""
        make_model(embedding_dim=13, hidden_size=7, pooling="attention").save_pretrained(tmp_path)
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path)
        embedding = model.get_input_embeddings().weight
        assert all(one.data_ptr() % 64 == 0 for one in model.parameters() if one is not embedding)

    @pytest.mark.parametrize(("dtype", "pooling"), list(itertools.product([torch.bfloat16, torch.float16], POOLINGS)))
    def test_half_precision(self, dtype: torch.dtype, pooling: str, tmp_path: Path) -> None:
        model = make_model(pooling=pooling)
        model.save_pretrained(tmp_path)
        loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=dtype)
        ids, mask = make_batch()
        ids[3] = mask[3] = 0
        logits = loaded(ids, mask).logits
        assert loaded.dtype == dtype and logits.dtype == torch.float32  # the head isn't rounded
        assert torch.allclose(logits.float(), model(ids, mask).logits, atol=0.1)


class TestHooks:
    def test_every_module_with_weights_is_called(self) -> None:
        """Offloading, sharding and quantisation hang on modules' hooks."""
        model = make_model(pooling="attention")
        called = set()
        for name, module in model.named_modules():
            module.register_forward_hook(lambda *_, name=name: called.add(name))
        model(*make_batch())
        assert {name for name, module in model.named_modules() if list(module.parameters(recurse=False))} <= called

    def test_offloaded_to_the_cpu(self) -> None:
        model, (ids, mask) = make_model(), make_batch()
        expected = model(ids, mask).logits
        offloaded = accelerate.cpu_offload(model, execution_device=torch.device("cpu"))
        assert torch.equal(offloaded(input_ids=ids, attention_mask=mask).logits, expected)
