"""`glove-bilstm export`: what it writes, what it measures, and what it refuses."""

import copy
import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
from loopback_hub import Hub, Repository
from tiny_model import make_model
from tiny_tasks import read_jsonl
from transformers import BertConfig, BertForSequenceClassification

from glove_bilstm import build_tokenizer
from glove_bilstm.hub.push import plan_push
from glove_bilstm.inference import OnnxClassifier, size_budget
from glove_bilstm.inference import export as export_module
from glove_bilstm.inference.bulk import predict_logits
from glove_bilstm.inference.export import (
    Check,
    Measured,
    Variant,
    export_model,
    make_check,
    measure_folder,
    write_variant,
)
from glove_bilstm.inference.loading import load_classifier
from glove_bilstm.inference.onnx_graph import build_graph
from glove_bilstm.inference.size_budget import (
    REPORT_BYTES,
    Point,
    best_within,
    candidates,
    folder_bytes,
    measure_variants,
)
from glove_bilstm.scripts.export import size
from glove_bilstm.scripts.main import main
from glove_bilstm.scripts.tables import size_text
from glove_bilstm.vectors.errors import InputError

FILES = {"config.json", "export.json", "model.onnx", "onnx_classifier.py", "tokenizer.json"}


def export(*arguments: object) -> int:
    return main(["export", *map(str, arguments)])


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "export.json").read_text())


class TestExport:
    def test_folder_and_report(
        self, model: Path, dataset_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        output = tmp_path / "new" / "onnx"
        assert export("--model", model, "--output", output, "--dataset", dataset_folder) == 0
        assert {file.name for file in output.iterdir()} == FILES
        written = report(output)
        texts = [row["text"] for row in read_jsonl(dataset_folder / "validation.jsonl")]
        assert written["texts"] == len(texts) and written["source"].endswith(", validation") and written["labelled"]
        assert written["largest_difference"] <= 1e-5 and written["same_answer"] == 1 and written["drop"] == 0
        torch_model, tokenizer = load_classifier(str(model))
        expected = [logits.numpy() for logits in predict_logits(torch_model, tokenizer, texts)]
        np.testing.assert_allclose(list(OnnxClassifier(output).logits(texts)), expected, atol=1e-5)
        printed = capsys.readouterr().out
        assert f"{written['in_torch']:.4f}" in printed and f"Saved in {output}: all words" in printed
        assert [entry.name for entry in output.parent.iterdir()] == ["onnx"]

    def test_the_data_set_has_a_name(
        self, model: Path, dataset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reviews = shutil.copytree(dataset_folder, tmp_path / "reviews")
        (tmp_path / "latest").symlink_to(reviews)
        monkeypatch.chdir(reviews)
        monkeypatch.setenv("HOME", str(reviews))
        for given, name in ((".", "reviews"), ("~", "reviews"), ("../latest", "latest")):
            assert export("--model", model, "--output", tmp_path / "onnx", "--dataset", given) == 0
            assert report(tmp_path / "onnx")["source"] == f"{name}, validation"

    def test_without_labels_torch_says_what_is_right(
        self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = ["--model", model, "--output", tmp_path / "onnx", "--quantize", "int8"]
        assert export(*options, "--max_accuracy_drop", "0") == 1  # hardly a word of the demo is known
        assert "Labelled texts of the model's own task, --dataset, tell more." in capsys.readouterr().err
        assert export(*options, "--max_accuracy_drop", "0.1") == 0
        written = report(tmp_path / "onnx")
        assert written["in_torch"] == 1 and not written["labelled"] and written["source"] == "the demo, validation"
        assert written["variant"] == {"vocabulary_size": None, "embedding_dtype": "int8", "quantize": "int8"}
        assert 0 < written["largest_difference"] < 0.1
        # With all 8 bits of the LSTM's weights, processors without VNNI would add past 16 bits.
        held = onnx.load(tmp_path / "onnx/model.onnx").graph.initializer
        weights = [onnx.numpy_helper.to_array(one) for one in held if one.name.endswith("_quantized")]
        assert len(weights) == 4 and all(abs(values.astype(int)).max() == 64 for values in weights)
        steps = [list(one.dims) for one in held if one.name.endswith("_scale")]
        assert steps == [[2, 24]] * 4  # of each direction's gates one for each state

    def test_torch_may_round_and_the_export_may_not(
        self,
        model: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        compared, numbers = export_module.measure_folder, []

        def as_if_torch_had_rounded(folder: Path, config: Any, check: Any) -> Any:
            measured = compared(folder, config, check)
            numbers.append(measured.largest_difference)
            return replace(measured, largest_difference=2e-5) if len(numbers) == 1 else measured

        monkeypatch.setattr(export_module, "measure_folder", as_if_torch_had_rounded)
        assert export("--model", model, "--output", tmp_path / "onnx") == 0
        assert len(numbers) == 2 and numbers[1] < 1e-5 and "from those in float64 by" in caplog.text
        monkeypatch.undo()

        def another(model: Any, *arguments: Any) -> Any:
            other = copy.deepcopy(model)
            next(other.classifier.parameters()).data += 0.01
            return build_graph(other, *arguments)

        monkeypatch.setattr(export_module, "build_graph", another)
        assert export("--model", model, "--output", tmp_path / "other") == 1
        assert "more than by rounding (1e-05); nothing was written" in capsys.readouterr().err
        assert [entry.name for entry in tmp_path.iterdir()] == ["onnx"]

    def test_what_loses_too_much_is_not_written(
        self, model: Path, dataset_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = ["--model", model, "--output", tmp_path / "onnx", "--dataset", dataset_folder]
        few = ["--vocabulary_size", 4, "--embedding_dtype", "float16"]
        assert export(*options, *few) == 1
        told = capsys.readouterr().err
        assert "With 4 words, embedding float16, LSTM float32, accuracy falls by" in told and "nothing was" in told
        assert list(tmp_path.iterdir()) == []
        assert export(*options, *few, "--max_accuracy_drop", "0.9") == 0
        written = report(tmp_path / "onnx")
        assert written["drop"] == pytest.approx(written["in_torch"] - written["exported"]) and written["drop"] > 0.01
        vocabulary = json.loads((tmp_path / "onnx" / "tokenizer.json").read_text())["model"]["vocab"]
        assert sorted(vocabulary.values()) == [0, 1, 2, 3]
        assert json.loads((tmp_path / "onnx" / "config.json").read_text())["vocab_size"] == 4

    def test_an_earlier_export_is_replaced_and_nothing_else(
        self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        output = tmp_path / "onnx"
        assert export("--model", model, "--output", output) == 0
        first = (output / "model.onnx").stat().st_size
        assert export("--model", model, "--output", output, "--embedding_dtype", "float16") == 0
        assert (output / "model.onnx").stat().st_size != first
        assert [entry.name for entry in tmp_path.iterdir()] == ["onnx"]
        before = {file.name for file in model.iterdir()}
        assert export("--model", model, "--output", model) == 1
        assert "is there already, and no earlier export" in capsys.readouterr().err
        assert {file.name for file in model.iterdir()} == before

    def test_interrupted_while_it_is_replaced_the_earlier_one_is_there(
        self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        output = tmp_path / "onnx"
        assert export("--model", model, "--output", output) == 0
        first = (output / "export.json").read_bytes()
        replace = os.replace

        def interrupt(source: Path, target: Path) -> None:
            if Path(source).name == ".onnx.glove-bilstm-new":
                raise KeyboardInterrupt
            replace(source, target)

        monkeypatch.setattr(os, "replace", interrupt)
        assert export("--model", model, "--output", output, "--embedding_dtype", "float16") == 130
        assert (output / "export.json").read_bytes() == first
        assert [entry.name for entry in tmp_path.iterdir()] == ["onnx"]

    def test_target_size(
        self, model: Path, dataset_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = ["--model", model, "--output", tmp_path / "onnx", "--dataset", dataset_folder]
        assert export(*options, "--target_size", "0.1MB") == 0
        printed = capsys.readouterr().out
        assert printed.count("chosen") == 1 and "float16" in printed and " kB  " in printed
        assert sum(file.stat().st_size for file in (tmp_path / "onnx").iterdir()) <= 100_000
        assert (tmp_path / "onnx-sizes.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert export(*options, "--target_size", "900B") == 1
        assert "Nothing fits 900 bytes" in capsys.readouterr().err

    def test_the_curve_is_drawn_of_what_loses_too_much_too(
        self,
        model: Path,
        dataset_folder: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def refuse(*_: object) -> None:
            raise InputError("too much")

        monkeypatch.setattr("glove_bilstm.inference.export.export_model", refuse)
        options = ["--model", model, "--output", tmp_path / "new" / "onnx", "--dataset", dataset_folder]
        assert export(*options, "--target_size", "0.1MB") == 1
        assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["onnx-sizes.png"]
        assert "onnx-sizes.png" in capsys.readouterr().out

    def test_a_loss_of_just_what_is_allowed(self) -> None:
        """1 - 0.99 is a little more than 0.01."""
        measured = Measured(100, "these", True, 0.1, 0.99, "accuracy", in_torch=1.0, exported=0.99)
        assert measured.drop == 0.01

    def test_no_more_than_what_is_allowed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        measured = Measured(100, "these", True, 0.1, 0.99, "accuracy", in_torch=1.0, exported=0.99)
        monkeypatch.setattr(export_module, "measure_folder", lambda *_: measured)
        tokenizer = build_tokenizer([f"w{number}" for number in range(97)])
        told = (make_model(), tokenizer, Variant(quantize="int8"), tmp_path / "onnx", cast(Any, None))
        with pytest.raises(InputError, match=r"accuracy falls by 0\.0100, from 1\.0000 to 0\.9900, and"):
            export_model(*told, 0.0099, None)
        assert export_model(*told, 0.01, None) is measured and report(tmp_path / "onnx")["drop"] == 0.01

    def test_of_several_labels_all_have_to_be_the_same(self, tmp_path: Path) -> None:
        model = make_model(num_labels=2, problem_type="multi_label_classification")
        tokenizer = build_tokenizer([f"w{number}" for number in range(97)])
        write_variant(model, tokenizer, Variant(), tmp_path)
        check = make_check(model, tokenizer, ["w1", "w2 w3", "w4", "w5"], None, "these")
        assert measure_folder(tmp_path, model.config, check).same_answer == 1
        check.logits[2, 1] *= -1  # another answer for one label of one text
        assert measure_folder(tmp_path, model.config, check).same_answer == 0.75

    def test_a_regressor_needs_different_targets(self, tmp_path: Path) -> None:
        model = make_model(num_labels=1, problem_type="regression", target_mean=250.0, target_std=30.0)
        tokenizer = build_tokenizer([f"w{number}" for number in range(97)])
        texts = ["w1 w2", "w3", "w5 w9"]
        for references in (np.full(3, 3.5), np.array([3.5, 4.5, 3.5])):
            folder = tmp_path / str(references[1])
            told = (model, tokenizer, Variant(), folder, make_check(model, tokenizer, texts, references, "these"))
            if np.ptp(references):
                assert export_model(*told, 0.01, None).drop == pytest.approx(0, abs=1e-6)
                continue
            with pytest.raises(InputError, match="Of these all targets are the same, so no R²"):
                export_model(*told, 0.01, None)
            assert list(tmp_path.iterdir()) == []

    def test_the_most_words_that_fit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of bytes, not of letters, and neither more than asked for nor much less."""
        monkeypatch.setattr(size_budget, "PRECISIONS", [(None, "float16"), ("int8", "int8")])
        monkeypatch.setattr(size_budget, "SHARES", (0.5, 1))
        model = make_model(vocab_size=2002, embedding_dim=50)
        tokenizer = build_tokenizer([f"w{'ö' * (number % 17)}{number}" for number in range(2000)])
        found = candidates(model, tokenizer, 120_000)
        assert [(one.embedding_dtype, one.quantize) for one in found] == [("float16", None)] * 2 + [
            ("int8", "int8")
        ] * 2
        for variant, asked in zip(found, (60_000, 120_000) * 2, strict=True):
            assert asked - 1500 < folder_bytes(model, tokenizer, variant) + REPORT_BYTES <= asked
        assert candidates(model, tokenizer, 10**7) == [Variant(None, "float16"), Variant(None, "int8", "int8")]

    def test_the_size_of_a_variant_is_that_of_its_folder(self, tmp_path: Path) -> None:
        model, tokenizer = make_model(), build_tokenizer([f"w{number}" for number in range(97)])
        check = make_check(model, tokenizer, ["w1 w2", "w3"], None, "these")
        [point] = measure_variants(model, tokenizer, [Variant(quantize="int8")], check)
        export_model(model, tokenizer, point.variant, tmp_path / "onnx", check, 1.0, "0" * 64)
        written = sum(file.stat().st_size for file in (tmp_path / "onnx").iterdir())
        assert written <= point.bytes <= written + REPORT_BYTES

    def test_the_best_that_fits(self) -> None:
        def point(size: int, exported: float, same: float | None, difference: float) -> Point:
            told = Measured(9, "these", True, difference, same, "accuracy", in_torch=1.0, exported=exported)
            return Point(Variant(), size, told)

        accurate, alike, nearest = (
            point(40, 0.91, 0.5, 0.9),
            point(60, 0.9, 0.97, 0.3),
            point(100, 0.9, 0.97, 0.2),
        )
        others = [point(50, 0.9, 0.95, 0.1), point(101, 0.99, 1.0, 0.0)]
        assert best_within([*others, alike, accurate, nearest], 100) is accurate
        assert best_within([*others, alike, nearest], 100) is nearest
        assert best_within([*others, alike, nearest], 99) is alike
        values = [point(9, 0.9, None, difference) for difference in (0.3, 0.1, 0.2)]
        assert best_within(values, 9) is values[1]

    def test_of_large_logits_a_difference_is_a_share(self, tmp_path: Path) -> None:
        model = make_model(num_labels=1, problem_type="regression", target_mean=250.0, target_std=0.001)
        tokenizer = build_tokenizer([f"w{number}" for number in range(97)])
        write_variant(model, tokenizer, Variant(), tmp_path)
        logits = make_check(model, tokenizer, ["w1", "w2", "w3"], None, "these").logits
        for check, difference in ((logits + [[0], [0.5], [0]], 0.5 / 250.5), (logits - 249.75, 249.75)):
            told = Check(["w1", "w2", "w3"], check, None, "these")
            assert measure_folder(tmp_path, model.config, told).largest_difference == pytest.approx(
                difference, rel=0.01
            )

    def test_another_kind_of_model(self) -> None:
        other = BertForSequenceClassification(
            BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4)
        )
        with pytest.raises(InputError, match="This exports glove_bilstm models; this one is bert"):
            candidates(other, build_tokenizer(["a"]), 10**6)

    @pytest.mark.parametrize(
        ("text", "expected"), [("5MB", 5_000_000), ("1.5 mb", 1_500_000), ("80kB", 80_000), ("9B", 9)]
    )
    def test_sizes(self, text: str, expected: int) -> None:
        assert size(text) == expected

    def test_sizes_are_said_in_three_digits(self) -> None:
        found = [size_text(number) for number in (5_123_456, 1_000_000, 612_345, 9_499)]
        assert found == ["5.12 MB", "1.00 MB", "612 kB", "9 kB"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--target_size", "five"], "is no size such as"),
            (["--target_size", "5MB", "--quantize", "int8"], "--target_size chooses --quantize"),
            (["--max_accuracy_drop", "2"], "is no number from 0 to 1"),
        ],
    )
    def test_bad_options(
        self, arguments: list[str], message: str, model: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            export("--model", model, "--output", "x", *arguments)
        assert message in capsys.readouterr().err

    def test_without_onnx(
        self, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("glove_bilstm.scripts.shared.find_spec", lambda name: None)
        assert export("--model", model, "--output", "x") == 1
        assert main(["predict", "--model", str(model), "--backend", "onnx", "good"]) == 1
        assert capsys.readouterr().err.count("onnxruntime: pip install ") == 2

    def test_vocabulary_size_out_of_range(
        self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for number in (2, 100_000):
            assert export("--model", model, "--output", tmp_path / "onnx", "--vocabulary_size", number) == 1
            assert "is not between 3 and the model's own" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []


class TestPush:
    def test_an_export_goes_along_while_it_is_of_this_model(self, model: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(model, tmp_path / "model")
        assert export("--model", folder, "--output", folder / "onnx") == 0
        plan = plan_push(folder)
        assert {name for name in plan.files if name.startswith("onnx/")} == {f"onnx/{name}" for name in FILES}
        assert "onnx/" not in plan.left_out
        weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        assert report(folder / "onnx")["model_sha256"] == weights
        written = report(folder / "onnx") | {"model_sha256": "0" * 64}
        (folder / "onnx" / "export.json").write_text(json.dumps(written))
        with pytest.raises(InputError, match="was exported from another model"):
            plan_push(folder)

    def test_one_of_a_model_on_the_hub(self, hub: Hub, folder: Path) -> None:
        repository = hub.repositories["somebody/tiny"] = Repository()
        repository.add("main", {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()})
        assert export("--model", "somebody/tiny", "--output", folder / "onnx") == 0
        weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        assert report(folder / "onnx")["model_sha256"] == weights
        assert main(["predict", "--model", str(folder), "--backend", "onnx", "good"]) == 0
        assert "onnx/model.onnx" in plan_push(folder).files
