from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import BATCH, LENGTH, POOLINGS, VOCABULARY, make_batch, make_model
from torch import nn
from torch.nn.utils.parametrize import register_parametrization
from torch.nn.utils.rnn import pack_padded_sequence
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from glove_bilstm import GloveBiLSTMConfig, GloveBiLSTMForSequenceClassification, GloveBiLSTMModel


class PlainBiLSTM(nn.Module):
    """The architecture that the project was asked for, as a plain torch module."""

    def __init__(self, vocab_size: int, dim: int, hidden: int, layers: int, labels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim, padding_idx=0)
        self.lstm = nn.LSTM(dim, hidden, layers, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.5)
        self.linear = nn.Linear(2 * hidden, labels)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        embedded = self.dropout(self.embedding(ids))
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.lstm(packed)
        return self.linear(self.dropout(torch.cat([hidden[-2], hidden[-1]], dim=1)))


class Double(nn.Module):
    """Twice what it is given."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * 2


class TestArchitecture:
    @pytest.mark.parametrize("layers", [1, 2, 3])
    def test_logits_are_those_of_the_plain_torch_module(self, layers: int) -> None:
        model = make_model(num_hidden_layers=layers)
        plain = PlainBiLSTM(VOCABULARY, 5, 6, layers, 3).eval()
        plain.embedding.load_state_dict(model.glove_bilstm.embeddings.state_dict())
        plain.lstm.load_state_dict(model.glove_bilstm.lstm.state_dict())  # torch's own names and shapes
        plain.linear.load_state_dict(model.classifier.state_dict())
        ids, mask = make_batch()
        assert torch.allclose(model(ids, mask).logits, plain(ids, mask.sum(1)), atol=1e-6)
        # Texts of one length are read another way.
        ids, mask = ids.clamp(min=2), torch.ones_like(mask)
        assert torch.allclose(model(ids, mask).logits, plain(ids, mask.sum(1)), atol=1e-6)

    @pytest.mark.parametrize("bidirectional", [True, False])
    @pytest.mark.parametrize("training", [True, False])
    def test_texts_of_one_length_are_read_as_others_are(self, bidirectional: bool, training: bool) -> None:
        dropouts = dict.fromkeys(("embedding_dropout", "lstm_dropout", "classifier_dropout"), 0.0)
        model = make_model(bidirectional=bidirectional, num_hidden_layers=2, **dropouts).train(training)
        ids, mask = make_batch()
        ids = ids.clamp(min=2)  # no padding
        found = []
        for shortest in (LENGTH, 1):
            model.zero_grad()
            mask = torch.ones_like(ids)
            mask[-1, shortest:] = 0
            logits = model(ids, mask).logits[:-1]
            logits.square().sum().backward()
            found.append([logits, *(weight.grad for weight in model.parameters() if weight.requires_grad)])
        for one, other in zip(*found, strict=True):
            assert one.abs().sum() > 0 and torch.allclose(one, other, atol=1e-5)

    @pytest.mark.parametrize("possible", [True, False])
    @pytest.mark.parametrize("rough", [torch.bfloat16, torch.float16])
    def test_autocast_on_processors_with_and_without_the_type(
        self, rough: torch.dtype, possible: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model, (ids, mask) = make_model(num_hidden_layers=2), make_batch()
        for kind in ("bf16", "fp16"):
            name = f"_is_mkldnn_{kind}_supported"
            able = getattr(torch.ops.mkldnn, name)()
            monkeypatch.setattr(torch.ops.mkldnn, name, lambda able=able: able and possible)
        exact = model.glove_bilstm(ids, mask).last_hidden_state
        with torch.autocast("cpu", rough):
            states = model.glove_bilstm(ids, mask).last_hidden_state
            embedded = model.glove_bilstm(
                inputs_embeds=model.get_input_embeddings()(ids).to(rough), attention_mask=mask
            )
            logits = model(ids, mask).logits
        logits.float().square().sum().backward()
        assert all(weight.grad is not None for weight in model.glove_bilstm.lstm.parameters())
        assert torch.allclose(states.float(), exact, atol=1e-2)
        if not possible:
            assert torch.equal(states, exact)
            embedded = model.get_input_embeddings()(ids).to(rough)
            with torch.autocast("cpu", rough):
                states = model.glove_bilstm(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
            assert torch.allclose(states, exact, atol=1e-2)

    @pytest.mark.parametrize("how", ["call", "parametrization"])
    def test_weights_that_stand_in_for_its_own_are_read(self, how: str) -> None:
        model, batch = make_model(), make_batch()
        doubled = {name: weight * 2 if ".lstm." in name else weight for name, weight in model.named_parameters()}
        other = deepcopy(model)
        other.load_state_dict(doubled)
        with torch.no_grad():
            if how == "call":
                logits = torch.func.functional_call(model, doubled, batch).logits
            else:
                for name in list(other.glove_bilstm.lstm._parameters):
                    register_parametrization(model.glove_bilstm.lstm, name, Double())
                logits = model(*batch).logits
            assert torch.equal(logits, other(*batch).logits)

    def test_defaults_are_the_ones_asked_for(self) -> None:
        config = GloveBiLSTMConfig()
        assert (config.hidden_size, config.num_hidden_layers, config.bidirectional) == (256, 2, True)
        assert (config.pooling, config.freeze_embeddings) == ("last", True)
        assert {config.embedding_dropout, config.lstm_dropout, config.classifier_dropout} == {0.5}

    def test_one_direction(self) -> None:
        model = make_model(bidirectional=False)
        ids, mask = make_batch()
        states = model.glove_bilstm(ids, mask).last_hidden_state
        assert states.shape == (BATCH, LENGTH, 6)
        last = states[torch.arange(BATCH), mask.sum(1) - 1]
        assert torch.allclose(model(ids, mask).logits, model.classifier(last), atol=1e-6)

    @pytest.mark.parametrize("pooling", POOLINGS)
    def test_pooling_against_its_definition(self, pooling: str) -> None:
        model = make_model(pooling=pooling)
        ids, mask = make_batch()
        outputs = model(ids, mask, output_hidden_states=True)
        for row in range(BATCH):
            states = outputs.hidden_states[-1][row, : int(mask[row].sum())]  # [length, H]
            if pooling == "last":
                pooled = torch.cat([states[-1, :6], states[0, 6:]])
            elif pooling == "mean":
                pooled = states.mean(0)
            elif pooling == "max":
                pooled = states.amax(0)
            elif pooling == "mean_max":
                pooled = torch.cat([states.mean(0), states.amax(0)])
            else:
                weights = model.pooler.score(torch.tanh(model.pooler.projection(states))).softmax(0)
                pooled = (weights * states).sum(0)
            assert torch.allclose(outputs.logits[row], model.classifier(pooled), atol=1e-6)

    def test_dropout_acts_in_training_where_it_should(self) -> None:
        ids, mask = make_batch()
        for name in ("embedding_dropout", "lstm_dropout", "classifier_dropout"):
            rates = {"embedding_dropout": 0.0, "lstm_dropout": 0.0, "classifier_dropout": 0.0}
            still = make_model(**rates).train()
            assert torch.equal(still(ids, mask).logits, still(ids, mask).logits)
            noisy = make_model(**{**rates, name: 0.5}).train()
            assert not torch.equal(noisy(ids, mask).logits, noisy(ids, mask).logits)
            assert torch.allclose(noisy.eval()(ids, mask).logits, still.eval()(ids, mask).logits)

    @pytest.mark.parametrize("padded", [False, True])
    def test_dropout_between_layers_acts_whether_or_not_texts_are_of_one_length(self, padded: bool) -> None:
        ids, mask = make_batch()
        ids, mask = (ids, mask) if padded else (ids.clamp_min(2), torch.ones_like(mask))
        rates = {"embedding_dropout": 0.0, "classifier_dropout": 0.0}
        model = make_model(**rates, lstm_dropout=1.0, num_hidden_layers=2).train()
        # The second layer reads zeros, whatever the words.
        other = torch.where(mask.bool(), (ids + 7) % 90 + 2, 0)
        assert torch.equal(model(ids, mask).logits, model(other, mask).logits)
        assert not torch.equal(model.eval()(ids, mask).logits, model(other, mask).logits)

    def test_hidden_states(self) -> None:
        model = make_model(num_hidden_layers=3)
        ids, mask = make_batch()
        states = model(ids, mask, output_hidden_states=True).hidden_states
        assert [tuple(state.shape) for state in states] == [(BATCH, LENGTH, 5)] + 3 * [(BATCH, LENGTH, 12)]
        assert torch.equal(states[0], model.get_input_embeddings()(ids))
        assert all(not state[mask == 0].any() for state in states)
        assert model(ids, mask).hidden_states is None
        model.config.output_hidden_states = True
        assert len(model(ids, mask).hidden_states) == 4
        assert torch.equal(model.glove_bilstm(ids, mask).last_hidden_state, states[-1])

    def test_tuple_and_embeds(self) -> None:
        model = make_model()
        ids, mask = make_batch()
        labels = torch.arange(BATCH) % 3
        outputs = model(ids, mask, labels=labels)
        loss, logits = model(ids, mask, labels=labels, return_dict=False)
        assert torch.equal(loss, outputs.loss) and torch.equal(logits, outputs.logits)
        embeds = model.get_input_embeddings()(ids)
        assert torch.equal(model(inputs_embeds=embeds, attention_mask=mask).logits, logits)
        with pytest.raises(ValueError, match="either input_ids or inputs_embeds"):
            model(ids, inputs_embeds=embeds)
        with pytest.raises(ValueError, match="either input_ids or inputs_embeds"):
            model()

    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize("width", [4, 6, 70])
    def test_vectors_of_another_width(self, training: bool, width: int) -> None:
        """Torch's kernel would read beyond their end, and answer something, or write there and end the process."""
        model = make_model().train(training)
        ids, mask = make_batch()
        message = (
            f"The vectors have {width} numbers each, and this model reads vectors of {model.config.embedding_dim} "
        )
        for grad in (True, False):
            with torch.set_grad_enabled(grad), pytest.raises(ValueError, match=message):
                model(inputs_embeds=torch.ones(*ids.shape, width), attention_mask=mask)
        model.set_input_embeddings(torch.nn.Embedding(VOCABULARY, width, padding_idx=0))
        with pytest.raises(ValueError, match=message):
            model(ids, mask)


class TestPadding:
    @pytest.mark.parametrize("pooling", POOLINGS)
    @settings(max_examples=25, deadline=None)
    @given(
        texts=st.lists(st.lists(st.integers(1, VOCABULARY - 1), max_size=6), min_size=1, max_size=5), data=st.data()
    )
    def test_logits_depend_on_the_text_alone(self, pooling: str, texts: list[list[int]], data: st.DataObject) -> None:
        """However far, on whichever side, or in the middle: padding and batch-mates change nothing."""
        model = make_model(pooling=pooling)
        length = max(len(text) for text in texts) + data.draw(st.integers(0, 3))
        ids = torch.zeros(len(texts), length, dtype=torch.long)
        mask = torch.zeros(len(texts), length, dtype=torch.long)
        for row, text in enumerate(texts):
            places = sorted(data.draw(st.permutations(range(length)))[: len(text)])
            ids[row, places] = torch.tensor(text, dtype=torch.long)
            mask[row, places] = 1
        together = model(ids, mask).logits
        for row, text in enumerate(texts):
            alone = model(torch.tensor([text], dtype=torch.long)).logits[0]
            assert torch.allclose(together[row], alone, atol=1e-6)

    def test_without_a_mask_padding_ids_are_padding(self) -> None:
        model = make_model()
        for right in (True, False):
            ids, mask = make_batch(right=right)
            assert torch.equal(model(ids).logits, model(ids, mask).logits)

    @pytest.mark.parametrize("pooling", POOLINGS)
    def test_a_text_without_tokens_has_an_answer(self, pooling: str) -> None:
        model = make_model(pooling=pooling)
        expected = model.classifier.bias
        assert torch.allclose(model(torch.empty(2, 0, dtype=torch.long)).logits, expected)
        assert torch.allclose(model(torch.zeros(2, 5, dtype=torch.long)).logits, expected)
        ids, mask = make_batch()
        ids[3] = mask[3] = 0
        assert torch.allclose(model(ids, mask).logits[3], expected)
        model.train()
        model(ids, mask, labels=torch.zeros(BATCH, dtype=torch.long)).loss.backward()
        assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)

    @pytest.mark.parametrize("pooling", POOLINGS)
    @pytest.mark.parametrize("length", [0, 5])
    def test_texts_without_tokens_give_every_weight_a_gradient(self, pooling: str, length: int) -> None:
        """It is zero; without one, processes that train together would wait for it."""
        model = make_model(pooling=pooling, num_hidden_layers=2, freeze_embeddings=False).train()
        labels = torch.tensor([0, 2])
        model(torch.zeros(2, length, dtype=torch.long), labels=labels).loss.backward()
        for name, weight in model.named_parameters():
            assert weight.grad is not None, name
            assert name == "classifier.bias" or not weight.grad.any(), name

    @pytest.mark.parametrize("pooling", POOLINGS)
    def test_a_batch_without_texts(self, pooling: str) -> None:
        assert make_model(pooling=pooling)(torch.empty(0, 4, dtype=torch.long)).logits.shape == (0, 3)

    def test_a_mask_of_other_texts_is_refused(self) -> None:
        ids, mask = make_batch()
        for wrong in (mask[:2], mask[:1], mask[:, :3], torch.ones(BATCH, LENGTH + 1)):
            with pytest.raises(ValueError, match=r"attention_mask is .* texts are \[13, 7\]"):
                make_model()(ids, wrong)

    def test_ten_thousand_words(self) -> None:
        assert make_model()(torch.full((1, 10_000), 5)).logits.isfinite().all()


class TestLosses:
    @pytest.mark.parametrize(
        ("labels", "num_labels", "problem_type", "expected"),
        [
            (torch.arange(BATCH) % 3, 3, "single_label_classification", nn.functional.cross_entropy),
            (torch.ones(BATCH, 3), 3, "multi_label_classification", nn.functional.binary_cross_entropy_with_logits),
            (torch.linspace(-1, 1, BATCH), 1, "regression", lambda x, y: nn.functional.mse_loss(x[:, 0], y)),
        ],
    )
    @pytest.mark.parametrize("named", [True, False])
    def test_loss(self, labels: torch.Tensor, num_labels: int, problem_type: str, expected: Any, named: bool) -> None:
        model = make_model(num_labels=num_labels, problem_type=problem_type if named else None)
        ids, mask = make_batch()
        outputs = model(ids, mask, labels=labels)
        assert outputs.logits.shape == (BATCH, num_labels)
        assert torch.allclose(outputs.loss, expected(outputs.logits, labels))
        assert model.config.problem_type == problem_type

    def test_regression_to_several_values_must_be_named(self) -> None:
        model = make_model(problem_type="regression")
        outputs = model(*make_batch(), labels=torch.ones(BATCH, 3))
        assert torch.allclose(outputs.loss, nn.functional.mse_loss(outputs.logits, torch.ones(BATCH, 3)))


class TestTargetScale:
    def test_logits_are_in_the_units_of_the_target_and_the_loss_is_not(self) -> None:
        options: dict[str, Any] = {"num_labels": 1, "problem_type": "regression"}
        plain, scaled = make_model(**options), make_model(**options, target_mean=50.0, target_std=7)
        ids, mask = make_batch()
        targets = torch.linspace(30, 70, BATCH)
        expected = plain(ids, mask, labels=(targets - 50) / 7)
        outputs = scaled(ids, mask, labels=targets)
        assert torch.allclose(outputs.logits, expected.logits * 7 + 50) and outputs.logits.shape == (BATCH, 1)
        assert torch.allclose(outputs.loss, expected.loss)
        outputs.loss.backward()
        expected.loss.backward()
        assert torch.allclose(scaled.classifier.weight.grad, plain.classifier.weight.grad)

    def test_one_label_of_no_named_task_is_a_value_from_the_first_label_on(self) -> None:
        model, (ids, mask) = make_model(num_labels=1, target_mean=50.0, target_std=7), make_batch()
        values = model(ids, mask).logits.detach() * 7 + 50
        outputs = model(ids, mask, labels=values[:, 0] + 7)
        assert torch.equal(outputs.logits, values)
        assert outputs.loss.item() == pytest.approx(1, rel=1e-4)

    def test_classifiers_have_none(self) -> None:
        ids, mask = make_batch()
        plain, scaled = make_model(), make_model(target_mean=50.0, target_std=7)
        assert torch.equal(plain(ids, mask).logits, scaled(ids, mask).logits)


class TestInitialWeights:
    def test_every_weight(self) -> None:
        model = make_model(hidden_size=64, embedding_dim=32, pooling="attention")
        embedding = model.get_input_embeddings().weight
        assert not embedding[0].any()
        assert embedding[1:].std() == pytest.approx(0.1, rel=0.1)
        for name, parameter in model.glove_bilstm.lstm.named_parameters():
            gates = parameter.detach().chunk(4)
            for position, gate in enumerate(gates):
                if name.startswith("weight_hh"):
                    assert torch.allclose(gate @ gate.T, torch.eye(64), atol=1e-5)
                elif name.startswith("weight_ih"):
                    bound = (6 / sum(gate.shape)) ** 0.5
                    assert 0.9 * bound < gate.abs().max() <= bound
                else:
                    assert (gate == float(name.startswith("bias_ih") and position == 1)).all()
        assert not model.pooler.projection.bias.any()

    def test_a_missing_tensor_alone_is_made_anew(self, tmp_path: Path) -> None:
        """Loading an incomplete checkpoint leaves what was loaded untouched."""
        model = make_model(freeze_embeddings=False)
        state = {name: tensor + 1 for name, tensor in model.state_dict().items()}
        missing = ["glove_bilstm.lstm.bias_ih_l0", "glove_bilstm.lstm.weight_hh_l1_reverse", "classifier.weight"]
        for name in missing:
            del state[name]
        loaded = GloveBiLSTMForSequenceClassification.from_pretrained(None, config=model.config, state_dict=state)
        for name, tensor in loaded.state_dict().items():
            assert name in missing or torch.equal(tensor, state[name]), name
        assert loaded.state_dict()[missing[0]][6:12].eq(1).all()
        gate = loaded.state_dict()[missing[1]][:6]
        assert torch.allclose(gate @ gate.T, torch.eye(6), atol=1e-5)


class TestEmbedding:
    def test_set_word_vectors_copies_bit_by_bit(self) -> None:
        model = make_model()
        matrix = torch.randn(VOCABULARY, 5)
        matrix[0] = 0
        model.set_word_vectors(matrix)
        assert torch.equal(model.get_input_embeddings().weight, matrix)
        with pytest.raises(ValueError, match=r"\[99, 4\], the embedding \[99, 5\]"):
            model.set_word_vectors(matrix[:, :4])
        with pytest.raises(ValueError, match="Row 0 .* must be zero"):
            model.set_word_vectors(matrix + 1)

    @pytest.mark.parametrize("frozen", [True, False])
    def test_frozen_holds_through_everything(self, frozen: bool, tmp_path: Path) -> None:
        model = make_model(freeze_embeddings=not frozen)
        model.set_frozen(frozen)
        model.save_pretrained(tmp_path)
        kinds = [GloveBiLSTMForSequenceClassification, GloveBiLSTMModel, AutoModel, AutoModelForSequenceClassification]
        models = [model, *(kind.from_pretrained(tmp_path) for kind in kinds)]
        models.append(AutoModel.from_config(AutoConfig.from_pretrained(tmp_path)))
        for one in models:
            assert one.get_input_embeddings().weight.requires_grad is not frozen
            one.resize_token_embeddings(VOCABULARY + 8)
            assert one.get_input_embeddings().weight.requires_grad is not frozen
        trainable = model.num_parameters(only_trainable=True)
        assert trainable == model.num_parameters() - frozen * (VOCABULARY + 8) * 5

    def test_what_a_user_froze_by_hand_stays_frozen(self) -> None:
        model = make_model(freeze_embeddings=False)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        model.resize_token_embeddings(VOCABULARY + 8)
        assert model.num_parameters(only_trainable=True) == 0

    def test_frozen_computes_no_gradient_and_padding_never_gets_one(self) -> None:
        ids, mask = make_batch()
        for frozen in (True, False):
            model = make_model(freeze_embeddings=frozen).train()
            model(ids, mask, labels=torch.zeros(BATCH, dtype=torch.long)).loss.backward()
            gradient = model.get_input_embeddings().weight.grad
            if frozen:
                assert gradient is None
            else:
                assert gradient[2:].any() and not gradient[0].any()

    @pytest.mark.parametrize("frozen", [True, False])
    @pytest.mark.parametrize("right", [True, False])
    def test_gradients_of_what_goes_in_and_comes_out_can_be_had(self, frozen: bool, right: bool) -> None:
        model, (ids, mask) = make_model(freeze_embeddings=frozen), make_batch(right=right)
        outputs = model(ids, mask, output_hidden_states=True)
        for states in outputs.hidden_states:
            states.retain_grad()
        outputs.logits.sum().backward()
        assert all(states.grad[mask == 1].any() for states in outputs.hidden_states)
        assert (model.get_input_embeddings().weight.grad is None) is frozen
        with torch.no_grad():
            assert not model(ids, mask, output_hidden_states=True).hidden_states[0].requires_grad

    def test_row_zero_stays_zero(self, tmp_path: Path) -> None:
        model = make_model(freeze_embeddings=False).train()
        ids, mask = make_batch()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.3)
        for _ in range(3):
            # The mask calls padding a token, which is what an unmasked batch would do.
            model(ids, torch.ones_like(mask), labels=torch.zeros(BATCH, dtype=torch.long)).loss.backward()
            optimizer.step()
        for size in (VOCABULARY + 8, VOCABULARY - 8):
            model.resize_token_embeddings(size)
            assert not model.get_input_embeddings().weight[0].any()
        model.save_pretrained(tmp_path)
        loaded = GloveBiLSTMModel.from_pretrained(tmp_path)
        assert not loaded.get_input_embeddings().weight[0].any()
        assert loaded.get_input_embeddings().padding_idx == 0
        assert loaded.config.vocab_size == VOCABULARY - 8
        other = GloveBiLSTMModel.from_pretrained(tmp_path, pad_token_id=5).get_input_embeddings()
        assert other.padding_idx == 5 and not other.weight[5].any() and other.weight[6].any()

    def test_get_and_set_input_embeddings(self) -> None:
        for model in (make_model(), make_model().glove_bilstm):
            other = nn.Embedding(7, 5, padding_idx=0)
            model.set_input_embeddings(other)
            assert model.get_input_embeddings() is other
            assert not other.weight.requires_grad  # as the configuration says


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.ao.quantization is, and many use it all the same
@pytest.mark.filterwarnings("ignore::UserWarning:torch.ao.nn")  # of a range in which torch finds nothing
def test_a_head_that_was_quantised_afterwards() -> None:
    model, (ids, mask) = make_model(), make_batch()
    quantised = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    with torch.no_grad():
        assert torch.allclose(quantised(ids, mask).logits, model(ids, mask).logits, atol=0.05)
