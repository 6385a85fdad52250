"""The ONNX graph computes what torch does; the classifier around it says what `pipeline` says, without torch."""

import copy
import hashlib
import json
import os
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from helpers import run
from tiny_model import BATCH, POOLINGS, VOCABULARY, make_batch, make_model
from transformers import pipeline

from glove_bilstm import GloveBiLSTMForSequenceClassification, build_tokenizer
from glove_bilstm.inference import OnnxClassifier
from glove_bilstm.inference.export import Variant, write_variant
from glove_bilstm.inference.export_folder import RUNTIME
from glove_bilstm.inference.loading import load_classifier
from glove_bilstm.inference.onnx_classifier import MODEL, to_answer, to_scores, verify_download
from glove_bilstm.inference.onnx_graph import build_graph
from glove_bilstm.inference.size_budget import candidates
from glove_bilstm.tokenization.word_level import encode_texts
from glove_bilstm.vectors.errors import InputError

WORDS = [f"w{number}" for number in range(VOCABULARY - 2)]
TEXTS = ["w1 w2 w3", "", "w5", "nothing known here", "w7 " * 41, "w9 w9 w8 w1", "  ", "w96 w1"]


def exported(model: GloveBiLSTMForSequenceClassification, folder: Path, **changes: Any) -> OnnxClassifier:
    folder.mkdir(exist_ok=True)
    write_variant(model, build_tokenizer(WORDS), Variant(**changes), folder)
    return OnnxClassifier(folder)


def run_graph(
    model: GloveBiLSTMForSequenceClassification, ids: torch.Tensor, mask: torch.Tensor, **options: Any
) -> np.ndarray:
    session = onnxruntime.InferenceSession(build_graph(model, **options).SerializeToString())
    return session.run(["logits"], {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})[0]


class TestGraph:
    @pytest.mark.parametrize("pooling", POOLINGS)
    @pytest.mark.parametrize("bidirectional", [True, False])
    @pytest.mark.parametrize("layers", [1, 3])
    def test_it_computes_what_torch_does(self, pooling: str, bidirectional: bool, layers: int) -> None:
        model = make_model(pooling=pooling, bidirectional=bidirectional, num_hidden_layers=layers)
        for right in (True, False):
            ids, mask = make_batch(seed=layers, right=right)
            mask[3] = 0  # a text without words
            mask[5] = torch.tensor([1, 0, 0, 1, 1, 0, 1])  # padding anywhere
            with torch.inference_mode():
                expected = model(input_ids=ids, attention_mask=mask).logits.numpy()
            np.testing.assert_allclose(run_graph(model, ids, mask), expected, atol=1e-6)
        found = run_graph(model, ids[:, :1], mask[:, :1])  # other sizes, the same graph
        assert found.shape == (BATCH, 3)

    @pytest.mark.parametrize("dtype", ["float16", "int8"])
    def test_embeddings_are_rounded_to_their_own_step(self, dtype: Any) -> None:
        model = make_model(pooling="mean_max")
        ids, mask = make_batch()
        weight = model.get_input_embeddings().weight.data  # [V, D]
        if dtype == "float16":
            rounded = weight.half().float()
        else:
            step = weight.abs().amax(dim=1, keepdim=True) / 127
            rounded = torch.where(step > 0, (weight / step).round() * step, 0.0)
        found = run_graph(model, ids, mask, embedding_dtype=dtype)
        model.get_input_embeddings().weight.data = rounded
        with torch.inference_mode():
            np.testing.assert_allclose(found, model(input_ids=ids, attention_mask=mask).logits, atol=1e-5)

    def test_vectors_too_large_for_float16(self) -> None:
        model = make_model()
        model.get_input_embeddings().weight.data[7, 1] = 1e5
        with pytest.raises(InputError, match="too large for float16"):
            build_graph(model, "float16")
        assert {one.embedding_dtype for one in candidates(model, build_tokenizer(WORDS), 10**6)} == {"int8"}

    @pytest.mark.parametrize("pooling", ["mean", "mean_max", "attention"])
    def test_one_word_ten_thousand_times(self, pooling: str) -> None:
        """Added one by one, ten thousand equal states lose three digits."""
        model = make_model(pooling=pooling, num_hidden_layers=1)
        ids = torch.full((1, 10_000), 7)
        exact = copy.deepcopy(model).double()
        with torch.inference_mode():
            expected = exact(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.numpy()
        np.testing.assert_allclose(run_graph(model, ids, torch.ones_like(ids)), expected, atol=1e-5)

    def test_a_regressor_answers_in_its_own_unit(self) -> None:
        model = make_model(num_labels=1, problem_type="regression", target_mean=250.0, target_std=30.0)
        ids, mask = make_batch()
        with torch.inference_mode():
            expected = model(input_ids=ids, attention_mask=mask).logits.numpy()
        assert abs(expected - 250).max() > 1
        np.testing.assert_allclose(run_graph(model, ids, mask), expected, rtol=1e-6)


class TestClassifier:
    @pytest.mark.parametrize(
        ("problem_type", "labels"),
        [(None, 3), ("single_label_classification", 3), ("multi_label_classification", 5), ("regression", 1)],
    )
    def test_it_says_what_the_pipeline_says(self, problem_type: str | None, labels: int, tmp_path: Path) -> None:
        names = {number: f"label {number}" for number in range(labels)}
        model = make_model(problem_type=problem_type, num_labels=labels, id2label=names)
        ours = exported(model, tmp_path / "model")
        theirs = pipeline("text-classification", model=model, tokenizer=build_tokenizer(WORDS))
        pair = {"text": "w1 w2", "text_pair": "w3"}
        for given in (TEXTS, TEXTS[0], [pair, {"text": "w4"}], pair):
            for options in ({}, {"top_k": None}, {"top_k": 1}, {"top_k": 2}):
                same(ours(given, **options), theirs(given, **options))
        assert ours([]) == [] and ours(iter(TEXTS)) == ours(TEXTS)

    @pytest.mark.parametrize("problem_type", [None, "multi_label_classification", "regression"])
    def test_two_labels_without_names(self, problem_type: str | None, tmp_path: Path) -> None:
        """Transformers leaves them out of a configuration."""
        model = make_model(problem_type=problem_type, num_labels=2)
        ours = exported(model, tmp_path / "model")
        theirs = pipeline("text-classification", model=model, tokenizer=build_tokenizer(WORDS))
        assert ours.labels == ["LABEL_0", "LABEL_1"] and ours.problem_type == problem_type
        assert ours.thresholds.tolist() == [0.5, 0.5]
        same(ours(TEXTS, top_k=None), theirs(TEXTS, top_k=None))

    def test_thresholds(self, tmp_path: Path) -> None:
        options = {"num_labels": 2, "problem_type": "multi_label_classification", "thresholds": [0.25, 0.75]}
        assert exported(make_model(**options), tmp_path / "model").thresholds.tolist() == [0.25, 0.75]

    def test_from_its_threshold_on_a_label_applies(self) -> None:
        logits, thresholds = np.array([0.0, -0.5, 2.0], dtype=np.float32), np.array([0.5, 0.5, 0.5])
        answer = to_answer(logits, "multi_label_classification", ["a", "b", "c"], thresholds)
        assert answer["labels"] == ["c", "a"] and answer["scores"][1] == 0.5

    def test_a_pair_without_a_second_text_is_its_first(self, tmp_path: Path) -> None:
        tokenizer = build_tokenizer(["<sep>", *WORDS[1:]])
        write_variant(make_model(), tokenizer, Variant(), tmp_path)
        pairs = [("w1 w2", "w3"), ("w1 w2", ""), ("", "w3"), ("", "")]
        encoded = OnnxClassifier(tmp_path).encode(pairs)
        assert encoded == encode_texts(tokenizer, pairs) and [len(ids) for ids in encoded] == [4, 2, 2, 0]

    def test_no_text_is_cut_or_filled_up(self, tmp_path: Path) -> None:
        tokenizer = build_tokenizer(WORDS)
        tokenizer(TEXTS, truncation=True, max_length=3, padding="max_length")  # which it does from then on
        write_variant(make_model(), tokenizer, Variant(), tmp_path)
        assert [len(ids) for ids in OnnxClassifier(tmp_path).encode(["w1 " * 9, "w1"])] == [9, 1]

    def test_its_configuration_names_nothing_that_is_elsewhere(self, model: Path, tmp_path: Path) -> None:
        write_variant(*load_classifier(str(model)), Variant(), tmp_path)
        config = json.loads((tmp_path / "config.json").read_text())
        assert not {"auto_map", "_name_or_path"} & set(config) and str(model) not in str(config)

    def test_a_text_counts_alone_and_in_any_company(self, tmp_path: Path) -> None:
        model = make_model(pooling="attention")
        classify = exported(model, tmp_path / "model")
        texts = [f"w{number % 97} " * (number % 31) for number in range(501)]
        together = np.stack(list(classify.logits(texts, batch_size=13)))
        alone = np.stack([next(classify.logits([text])) for text in texts])
        np.testing.assert_allclose(together, alone, atol=1e-6)
        assert [one["score"] for one in pickle.loads(pickle.dumps(classify))(texts, batch_size=13)] == [
            one["score"] for one in classify(texts, batch_size=13)
        ]

    def test_numbers_below_one(self, tmp_path: Path) -> None:
        classify = exported(make_model(), tmp_path / "model")
        for texts in ("w1", ["w1"], ["w1", "w2"]):
            for name in ("batch_size", "top_k"):
                with pytest.raises(ValueError, match=f"{name} must be at least 1; it is -1"):
                    classify(texts, **{name: -1})
        with pytest.raises(ValueError, match="batch_size must be at least 1; it is 0"):
            next(classify.classify(["w1"], batch_size=0))
        with pytest.raises(ValueError, match="threads must be at least 1; it is 0"):
            OnnxClassifier(tmp_path / "model", threads=0)

    def test_where_the_processors_to_use_are_not_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        exported(make_model(), tmp_path)
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS and Windows
        for number, threads in ((7, 7), (None, 1)):
            monkeypatch.setattr(os, "cpu_count", lambda number=number: number)
            assert OnnxClassifier(tmp_path).threads == threads

    def test_several_threads_may_use_one(self, tmp_path: Path) -> None:
        classify = exported(make_model(), tmp_path / "model")
        lists = [[f"w{(number * seed) % 97} w{seed}" for number in range(99)] for seed in range(1, 9)]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(classify, lists)) == [classify(one) for one in lists]

    def test_in_another_process_as_many_threads_read(self, tmp_path: Path) -> None:
        exported(make_model(), tmp_path)
        classify = OnnxClassifier(tmp_path, threads=len(os.sched_getaffinity(0)) + 1)
        assert pickle.loads(pickle.dumps(classify)).threads == classify.threads

    def test_ten_thousand_words(self, tmp_path: Path) -> None:
        [answer] = exported(make_model(), tmp_path / "model")(["w1 w2 " * 5000])
        assert 0 < answer["score"] <= 1

    @pytest.mark.parametrize(
        "given",
        [5, None, ["w1", 5], {"label": "w1"}, [("w1", "w2", "w3")], [["w1", "w2"]], {"text": "w1", "text_pair": 0}],
    )
    def test_what_is_no_text(self, given: Any, tmp_path: Path) -> None:
        classify = exported(make_model(), tmp_path / "model")
        with pytest.raises(TypeError, match="is neither a text nor a pair of texts"):
            classify(given)
        if isinstance(given, list):
            with pytest.raises(TypeError, match="is neither a text nor a pair of texts"):
                list(classify.classify(given))
        for raw in (b"w1", [b"w1"], ("w1", b"w2")):
            with pytest.raises(TypeError, match=r"b'w.' .*neither .* Decode bytes: text\.decode\('utf-8'\)\."):
                classify(raw)

    @pytest.mark.parametrize("bad", ["w1 \ud83d \ude00", ("w2", "w1 \ud83d")])
    def test_what_is_no_character(self, bad: Any, tmp_path: Path) -> None:
        classify = exported(make_model(), tmp_path / "model")
        told = r"'w1 \\ud83d.*' can't be read: '\\ud83d' at its place 3 is no character, but half of one"
        for ask in (lambda: classify(["w5 \U0001f600", bad, "w1"]), lambda: list(classify.classify(["w5", bad]))):
            with pytest.raises(ValueError, match=told):
                ask()

    def test_what_is_no_export(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"holds no exported model: it has no model\.onnx"):
            OnnxClassifier.from_pretrained(tmp_path)
        for path in (f"{tmp_path}/nowhere", "~/nowhere", "no where"):
            with pytest.raises(FileNotFoundError, match="There is no folder .*nowhere|There is no folder no where"):
                OnnxClassifier.from_pretrained(path)
        with pytest.raises(FileNotFoundError, match="The name of the model is empty"):
            OnnxClassifier.from_pretrained("")

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (
                {"id2label": {"0": "a", "1": "b"}},
                "model.onnx .*: it gives 3 logits for a text, and config.json has 2 la",
            ),
            ({"id2label": {"0": "a", "2": "b"}}, "config.json .*: it has no 1"),
            ({"thresholds": [0.5, 0.1]}, r"config.json .*: it has 3 labels, and its thresholds are \[0.5, 0.1\]"),
            ({"pad_token_id": 99}, "config.json .*: its pad_token_id is 99, and its vocab_size 99"),
            ({"pad_token_id": None}, "config.json .*: its pad_token_id is None"),
        ],
    )
    def test_files_that_do_not_fit(self, change: dict[str, Any], told: str, tmp_path: Path) -> None:
        exported(make_model(), tmp_path)
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(ValueError, match=f"{told}.*Export it again"):
            OnnxClassifier(tmp_path)

    @pytest.mark.parametrize(
        ("name", "content"),
        [("config.json", "{"), ("config.json", "{}"), ("config.json", "[]"), ("tokenizer.json", "{}"),
         ("model.onnx", "")],
    )  # fmt: skip
    def test_a_broken_export(self, name: str, content: str, tmp_path: Path) -> None:
        exported(make_model(), tmp_path)
        (tmp_path / name).write_text(content)
        with pytest.raises(ValueError, match=rf"{name} is none of an exported model: .+\. Export it again\."):
            OnnxClassifier(tmp_path)

    def test_a_damaged_download(self, tmp_path: Path) -> None:
        sound = hashlib.sha256(b"whole").hexdigest()
        (tmp_path / sound).write_bytes(b"whole")
        (tmp_path / MODEL).symlink_to(tmp_path / sound)
        verify_download(tmp_path / MODEL, "it")
        (tmp_path / sound).write_bytes(b"hole")
        with pytest.raises(ValueError, match=f"the Hub says {sound}: the download was damaged"):
            verify_download(tmp_path / MODEL, "it")
        assert not (tmp_path / sound).exists()

    def test_a_damaged_download_of_a_repository(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "snapshot").mkdir()
        exported(make_model(), tmp_path / "snapshot/onnx")
        file = tmp_path / "snapshot/onnx" / MODEL
        blob = file.rename(tmp_path / hashlib.sha256(file.read_bytes()).hexdigest())  # as in the cache
        file.symlink_to(blob)
        monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path / "snapshot"))
        assert len(OnnxClassifier.from_pretrained("somebody/tiny").labels) == 3
        blob.write_bytes(blob.read_bytes() + b"\0")
        with pytest.raises(ValueError, match=r"What came of model\.onnx of the repository has the SHA-256"):
            OnnxClassifier.from_pretrained("somebody/tiny")

    def test_scores_of_large_logits(self) -> None:
        with np.errstate(all="raise", under="ignore"):
            np.testing.assert_allclose(to_scores(np.array([900.0, -900.0]), "single_label_classification"), [1, 0])
            found = to_scores(np.array([90.0, -90.0], dtype=np.float32), "multi_label_classification")
        np.testing.assert_allclose(found, [1, 0], atol=1e-30)


def same(ours: Any, theirs: Any) -> None:
    """The same lists of the same labels, and scores to float32's last digits."""
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert ours["label"] == theirs["label"] and ours["score"] == pytest.approx(theirs["score"], abs=1e-6)
    else:
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            same(one, other)


HEAVY = "torch", "transformers", "sklearn", "scipy", "pyarrow", "matplotlib", "datasets"


@pytest.mark.parametrize(
    "how", ["from glove_bilstm.inference import OnnxClassifier", "from onnx_classifier import OnnxClassifier"]
)
def test_neither_torch_nor_transformers_is_loaded(how: str, tmp_path: Path) -> None:
    folder = tmp_path / "modèle"
    expected = exported(make_model(), folder)(TEXTS)
    assert (folder / RUNTIME).is_file()
    code = f"""
import sys
sys.path.insert(0, sys.argv[1])
{how}
print(OnnxClassifier.from_pretrained(sys.argv[1])({TEXTS!r}))
assert not [name for name in {HEAVY!r} if name in sys.modules]
"""
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run(sys.executable, "-W", "error", "-c", code, folder, cwd=tmp_path, env=os.environ | ascii_alone)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == repr(expected)
