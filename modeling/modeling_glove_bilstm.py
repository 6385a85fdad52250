"""The BiLSTM text classifier. This file is shipped with every saved model, so it stands alone.

Shapes: B texts, T tokens, D embedding_dim, H hidden_size × directions, P a text's vector, V vocab_size,
C num_labels.
"""

from math import gcd
from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput, SequenceClassifierOutput
from transformers.utils.generic import can_return_tuple

from .configuration_glove_bilstm import GloveBiLSTMConfig

ALIGNMENT = 64
"""Bytes: a cache line, to which torch aligns what it allocates itself."""


def state_size(config: GloveBiLSTMConfig) -> int:
    """H, the size of a token's state: both directions, side by side."""
    return config.hidden_size * (2 if config.bidirectional else 1)


def pooled_size(config: GloveBiLSTMConfig) -> int:
    """P, the size of a text's vector: a state's, or that of two side by side."""
    return state_size(config) * (2 if config.pooling == "mean_max" else 1)


class GloveBiLSTMPreTrainedModel(PreTrainedModel):
    """What the base model and its heads share: the initial weights, and an embedding that stays frozen."""

    config: GloveBiLSTMConfig
    config_class = GloveBiLSTMConfig
    base_model_prefix = "glove_bilstm"
    # The loss is a mean over the batch. With the Trainer's default, gradient accumulation would multiply it.
    accepts_loss_kwargs = False
    # Loaded in bfloat16, the head stays as it is: it is small, and rounded logits would tie.
    _keep_in_fp32_modules_strict = {"classifier"}

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Set every weight's initial value; nothing else does.

        | weight              | initial value                                                                      |
        |---------------------|------------------------------------------------------------------------------------|
        | embedding           | normal, standard deviation 0.1; row `pad_token_id` zero                            |
        | LSTM input weights  | Xavier uniform, gate by gate (Glorot & Bengio 2010)                                |
        | LSTM hidden weights | orthogonal, gate by gate (Saxe et al. 2014)                                        |
        | LSTM biases         | zero, the forget gate's 1 (Jozefowicz et al. 2015), held by `bias_ih` of the pair  |
        | linear weights      | Xavier uniform                                                                     |
        | linear biases       | zero                                                                               |
        """
        if isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=0.1)
            # A slice doesn't carry the mark of a weight that was loaded, so look at the whole one. Likewise below.
            if module.padding_idx is not None and not getattr(module.weight, "_is_hf_initialized", False):
                module.weight[module.padding_idx].zero_()
        elif isinstance(module, nn.LSTM):
            for name, parameter in module.named_parameters():
                if getattr(parameter, "_is_hf_initialized", False):
                    continue
                # Torch stacks the gates: input, forget, cell, output.
                gates = parameter.chunk(4)
                for gate in gates:
                    if name.startswith("weight_ih"):
                        init.xavier_uniform_(gate)
                    elif name.startswith("weight_hh"):
                        init.orthogonal_(gate)
                    else:
                        init.zeros_(gate)
                if name.startswith("bias_ih"):
                    init.ones_(gates[1])
        elif isinstance(module, nn.Linear):
            init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)

    def get_input_embeddings(self) -> nn.Embedding:
        """The word embedding, weight ``[V, D]``."""
        return cast(GloveBiLSTMModel, self.base_model).embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the word embedding; where the configuration says so, the new one is frozen too."""
        self.base_model.embeddings = value.requires_grad_(False) if self.config.freeze_embeddings else value

    def tie_weights(self, *args: Any, **kwargs: Any) -> None:
        """Mend what transformers forgets when it has made or replaced parameters; there is nothing to tie.

        It calls this at the end of `__init__` and of `from_pretrained`, where `requires_grad=False` is lost, where the
        padding's row may be a word's (of another `pad_token_id`), and where tensors lie in memory as they lay in the
        file. Kernels sum in another order on unaligned memory, so logits would not be bit-equal to those before
        saving; and cuDNN would have to put weights together at every call.
        """
        super().tie_weights(*args, **kwargs)
        embedding = self.get_input_embeddings().weight
        if self.config.freeze_embeddings:
            embedding.requires_grad_(False)
        padding = embedding.detach()[self.config.pad_token_id :][:1]
        if not padding.is_meta and padding.any():
            padding.zero_()
        for parameter in self.parameters():
            # Not the embedding: its rows are only copied.
            if parameter is not embedding and parameter.data_ptr() % ALIGNMENT:
                parameter.data = parameter.data.clone()
        for module in self.modules():
            if isinstance(module, GloveBiLSTMLayers):
                module.flatten_parameters()

    def set_frozen(self, frozen: bool) -> None:
        """Freeze the embedding, or let it be trained; `config.freeze_embeddings` follows, so a saved model knows."""
        self.config.freeze_embeddings = frozen
        self.get_input_embeddings().requires_grad_(not frozen)

    @torch.no_grad()
    def set_word_vectors(self, matrix: torch.Tensor) -> None:
        """Copy an embedding matrix into the embedding, bit by bit.

        Args:
            matrix: ``[V, D]``, as `embedding_matrix` makes it (through `torch.from_numpy`).

        Raises:
            ValueError: The shape isn't ``[vocab_size, embedding_dim]``, or the padding row isn't zero.
        """
        weight = self.get_input_embeddings().weight
        if matrix.shape != weight.shape:
            raise ValueError(
                f"The matrix is {list(matrix.shape)}, the embedding {list(weight.shape)}: "
                "[vocab_size, embedding_dim]. Make the configuration with vocab_size, embedding_dim = matrix.shape."
            )
        if matrix[self.config.pad_token_id].any():
            raise ValueError(f"Row {self.config.pad_token_id} of the matrix is the padding's and must be zero.")
        weight.copy_(matrix)


class GloveBiLSTMLayers(nn.LSTM):
    """Torch's LSTM, its parameters under their own names, of which any layers can be run.

    On a CPU it keeps the weights in oneDNN's order from one call to the next. Changes are noticed, but for those of
    less than a row or a column through `weight.data` or a NumPy view: call `flatten_parameters()` after these.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the layers; the arguments are those of `torch.nn.LSTM`."""
        super().__init__(*args, **kwargs)
        self._prepared: dict[tuple[str, bool], tuple[Any, list[Any], list[torch.Tensor]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: nothing that can be made again."""
        return {**super().__getstate__(), "_prepared": {}}

    def flatten_parameters(self) -> None:
        """On a GPU, lay the weights of each layer and direction end to end, as cuDNN wants what it runs in one call.

        Torch calls this when the weights have come to another device, to lay all of them so.
        """
        self._prepared = {}
        if next(self.parameters()).is_cuda:
            for layer in range(self.num_layers):
                for suffix in self._suffixes():
                    weights = self._weights(range(layer, layer + 1), [suffix])
                    laid = torch.cat([weight.detach().flatten() for weight in weights])
                    for weight, part in zip(weights, laid.split([weight.numel() for weight in weights]), strict=True):
                        weight.data = part.view_as(weight)

    def forward(  # type: ignore[override]
        self, states: torch.Tensor, lengths: torch.Tensor | None, layers: range
    ) -> torch.Tensor:
        """Run layers without dropout between them: ``[B, T, D or H]`` to ``[B, T, H]``, of any value at padding.

        Args:
            states: Tokens first in each text, and padding after them.
            lengths: How many tokens each text has, ``[B]``. None: T, all of them.
            layers: Which ones, from 0; with lengths, or on a GPU, a single one.
        """
        if not self.bidirectional or (lengths is None and not states.is_cuda):
            # From the left, padding doesn't matter: what stands after a text's tokens doesn't change their states.
            return self._read(states, layers, self._suffixes())
        # Packing gives the same, slower. On a CPU, packed texts get neither oneDNN's LSTM nor, in training, a backward
        # pass in linear time: torch adds a matrix of all tokens at every one of them. On a GPU it has to wait for the
        # lengths, and cuDNN's backward pass for long texts takes half as long again. So each text's tokens are read
        # from the last to the first, its padding still behind them, and put back by the same.
        ends = states.shape[1] if lengths is None else lengths.unsqueeze(1)  # [B, 1]
        places = torch.arange(states.shape[1], device=states.device)  # [T]
        turned = ((ends - 1 - places) % states.shape[1]).expand(states.shape[:2])  # [B, T]
        ahead = self._read(states, layers, [""])
        back = self._read(_move_tokens(states, turned), layers, ["_reverse"])
        return torch.cat([ahead, _move_tokens(back, turned)], dim=-1)

    def _read(self, states: torch.Tensor, layers: range, suffixes: list[str]) -> torch.Tensor:
        """Read all places, in the directions that the weights' suffixes name."""
        weights = self._weights(layers, suffixes)
        if states.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # Torch hands oneDNN an LSTM in autocast's type even where the processor can't compute in it, and fails.
            if not cpu_computes_in(torch.get_autocast_dtype("cpu")):
                with torch.autocast("cpu", enabled=False):
                    return self._read(states.to(weights[0].dtype), layers, suffixes)
        if self._can_prepare(states, weights):
            return self._read_prepared(states, layers, suffixes)
        directions = len(layers) * len(suffixes)
        # Not `len(states)`, which a trace would take for a constant.
        zeros = states.new_zeros(directions, states.shape[0], self.hidden_size)  # [directions, B, hidden]
        return torch.lstm(
            states,
            (zeros, zeros),
            weights,
            has_biases=True,
            num_layers=len(layers),
            dropout=0.0,
            train=self.training,
            bidirectional=len(suffixes) == 2,
            batch_first=True,
        )[0]

    def _can_prepare(self, states: torch.Tensor, weights: list[torch.Tensor]) -> bool:
        """Whether torch would use oneDNN, in float32, and nothing watches what is computed."""
        return (
            states.device.type == "cpu"
            and states.dtype == weights[0].dtype == torch.float32
            and not (torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"))
            # Made in inference mode, or shared with another process, it wouldn't tell whether it was changed; and
            # oneDNN is told of no strides.
            and not any(
                weight.is_inference() or weight.is_shared() or not weight.is_contiguous() for weight in weights
            )
            and not (torch.compiler.is_compiling() or torch.jit.is_tracing())  # type: ignore[attr-defined]
            and bool(torch.backends.mkldnn.enabled)
            # Not every build has it, and no version need keep it.
            and hasattr(torch.ops.mkldnn, "_reorder_mkldnn_rnn_layer_weight")
        )

    def _read_prepared(self, states: torch.Tensor, layers: range, suffixes: list[str]) -> torch.Tensor:
        """Read as `torch.lstm` does, bit for bit, with weights that lie as oneDNN wants them.

        Torch has oneDNN put all weights into its own order at every call, which takes longer than a few words do.
        """
        zeros = states.new_zeros(len(states), self.hidden_size)  # [B, hidden]
        lstm, backwards, states = 2, len(suffixes) == 2, states.transpose(0, 1)  # [T, B, D or H]
        for layer in layers:
            read = []
            for suffix in suffixes:
                weight_ih, weight_hh, *biases = self._weights(range(layer, layer + 1), [suffix])
                prepared = self._prepare(f"{layer}{suffix}", weight_ih, weight_hh, states.shape)
                arguments = [*prepared, *biases, zeros, zeros, backwards and suffix == "_reverse", []]
                options = [lstm, self.hidden_size, 1, True, False, False, False]
                read.append(torch.ops.aten.mkldnn_rnn_layer(states.contiguous(), *arguments, *options)[0])
            states = torch.cat(read, dim=-1) if len(read) > 1 else read[0]
        return states.transpose(0, 1)

    def _prepare(
        self, name: str, weight_ih: torch.Tensor, weight_hh: torch.Tensor, shape: torch.Size
    ) -> list[torch.Tensor]:
        """Two weights as oneDNN wants them for one text, or for several; made again where they have changed."""
        key = (name, shape[1] == 1)
        # Torch counts changes, but not those that are made through `.data`. So some numbers are looked at too, of
        # every row and every column. (`flatten_parameters` forgets all, after others.)
        marks = [(weight.data_ptr(), weight._version) for weight in (weight_ih, weight_hh)]
        if key in self._prepared:
            known, samples, prepared = self._prepared[key]
            if known == [*marks, *(sample.tobytes() for sample in samples)]:
                return prepared
        samples = [weight.detach().flatten()[:: _step(*weight.shape)].numpy() for weight in (weight_ih, weight_hh)]
        prepared = torch.ops.mkldnn._reorder_mkldnn_rnn_layer_weight(
            weight_ih, weight_hh, self.hidden_size, False, True, False, shape
        )
        self._prepared[key] = ([*marks, *(sample.tobytes() for sample in samples)], samples, prepared)
        return prepared

    def _suffixes(self) -> list[str]:
        return ["", "_reverse"] if self.bidirectional else [""]

    def _weights(self, layers: range, suffixes: list[str]) -> list[torch.Tensor]:
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        names = [f"{kind}_l{layer}{suffix}" for layer in layers for suffix in suffixes for kind in kinds]
        # `getattr` finds parametrized ones too, but for all it would take 1 % of the time of a word that comes alone.
        own = self._parameters
        return [cast(torch.Tensor, own[name] if name in own else getattr(self, name)) for name in names]


class GloveBiLSTMModel(GloveBiLSTMPreTrainedModel):
    """Embedding → dropout → BiLSTM that skips padding. Gives the top layer's state at every token."""

    # A classifier's own weights: of no use here, and nothing to warn of.
    _keys_to_ignore_on_load_unexpected = [r"^classifier\.", r"^pooler\."]

    def __init__(self, config: GloveBiLSTMConfig) -> None:
        """Make the model with fresh weights."""
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.embedding_dim, padding_idx=config.pad_token_id)
        self.embedding_dropout = nn.Dropout(config.embedding_dropout)
        self.lstm = GloveBiLSTMLayers(
            config.embedding_dim,
            config.hidden_size,
            config.num_hidden_layers,
            batch_first=True,
            bidirectional=config.bidirectional,
        )
        self.lstm_dropout = nn.Dropout(config.lstm_dropout)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """Read the texts.

        Args:
            input_ids: Token ids, ``[B, T]``.
            attention_mask: 1 for a token, 0 for padding, ``[B, T]``. Padding may stand anywhere and a text may be all
                padding. None: every `pad_token_id` is padding (with `inputs_embeds`: nothing is).
            inputs_embeds: Vectors in place of ids, ``[B, T, D]``.
            output_hidden_states: Return the embeddings and every layer's states. None: as the configuration says.
            **kwargs: `return_dict=False` gives a tuple; anything else that other models take is ignored.

        Returns:
            `last_hidden_state` ``[B, T, H]``, zero at padding; with `output_hidden_states` also `hidden_states`, the
            embeddings ``[B, T, D]``, after dropout in training, and then each layer's ``[B, T, H]``.

        Raises:
            ValueError: Not exactly one of `input_ids` and `inputs_embeds` is given, or vectors aren't D wide.
        """
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        mask = token_mask(input_ids, attention_mask, inputs_embeds, self.config)  # [B, T]
        if inputs_embeds is None:
            inputs_embeds = self.embeddings(input_ids)  # [B, T, D]
        # Of another width, torch's kernel would read and write beyond the end of what is there.
        if not is_recorded() and inputs_embeds.shape[-1] != self.config.embedding_dim:
            raise ValueError(
                f"The vectors have {inputs_embeds.shape[-1]} numbers each, and this model reads vectors of "
                f"{self.config.embedding_dim} (config.embedding_dim). Give it such, or make a model for yours."
            )
        states = self.embedding_dropout(inputs_embeds)  # [B, T, D]
        if output_hidden_states and input_ids is not None and torch.is_grad_enabled() and not states.requires_grad:
            # Frozen vectors get no gradient, but who asks for the states may want to know how they weigh (saliency).
            states.requires_grad_()
        hidden_states = [states]

        shortest = longest = mask.shape[1]
        lengths = None  # counting them would be 1 % of the time of a text that comes alone
        if is_recorded():
            lengths, shortest = mask.sum(dim=1), 0
        elif not mask.all():
            lengths = mask.sum(dim=1)  # [B]
            shortest, longest = map(int, torch.aminmax(lengths))
        if not is_recorded() and (longest == 0 or len(mask) == 0):  # no texts, or none with a word: nothing to read
            nothing = _nothing_of(states, *self.lstm.parameters())
            empty = states.new_zeros(*mask.shape, state_size(self.config)) + nothing
            hidden_states += [empty] * self.config.num_hidden_layers
        else:
            # Tokens first, in their order, and padding after them, is what the layers ask for.
            places = None
            if lengths is not None:
                grouped = torch.arange(mask.shape[1], device=mask.device) < lengths[:, None]  # [B, T]
                if is_recorded() or not torch.equal(mask, grouped):
                    order = torch.argsort(mask, dim=1, descending=True, stable=True)  # [B, T]
                    places = torch.argsort(order, dim=1)  # [B, T], undoes it
                    states = _move_tokens(states, order)
                states = states[:, :longest]
            number = self.config.num_hidden_layers
            # Else one call is faster; but on a GPU the weights lie apart.
            apart = output_hidden_states or self.training or shortest < longest or states.is_cuda
            for layers in [range(layer, layer + 1) for layer in range(number)] if apart else [range(number)]:
                if layers.start > 0:
                    states = self.lstm_dropout(states)
                states = self.lstm(states, lengths if shortest < longest else None, layers)  # [B, longest, H]
                if output_hidden_states or layers.stop == number:
                    read = states
                    if lengths is not None:
                        read = nn.functional.pad(read, (0, 0, 0, mask.shape[1] - longest))  # [B, T, H]
                        read = read if places is None else _move_tokens(read, places)
                        read = read.masked_fill(~mask.unsqueeze(-1), 0.0)
                    hidden_states.append(read)
                    if output_hidden_states:  # the next layer reads what is returned, so that gradients reach it
                        states = (read if places is None else _move_tokens(read, order))[:, :longest]

        return BaseModelOutput(
            last_hidden_state=hidden_states[-1],
            hidden_states=tuple(hidden_states) if output_hidden_states else None,
        )


class GloveBiLSTMPooler(nn.Module):
    """The states of the top layer → one vector a text; zero for a text without tokens."""

    def __init__(self, config: GloveBiLSTMConfig) -> None:
        """Make the pooling that `config.pooling` names."""
        super().__init__()
        self.config = config
        if config.pooling == "attention":
            self.projection = nn.Linear(state_size(config), state_size(config))
            self.score = nn.Linear(state_size(config), 1, bias=False)

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Pool ``[B, T, H]`` to ``[B, P]``.

        Args:
            states: The top layer's states, zero at padding, ``[B, T, H]``.
            mask: True at tokens, ``[B, T]``.
        """
        if states.shape[1] == 0:
            nothing = _nothing_of(states, *self.parameters())
            return states.new_zeros(states.shape[0], pooled_size(self.config)) + nothing
        pooling = self.config.pooling
        if pooling == "last":
            return self._last(states, mask)
        if pooling == "mean":
            return self._mean(states, mask)
        if pooling == "max":
            return self._max(states, mask)
        if pooling == "mean_max":
            return torch.cat([self._mean(states, mask), self._max(states, mask)], dim=-1)
        return self._attention(states, mask)

    def _mean(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return states.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1).to(states.dtype)

    def _max(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        highest = states.masked_fill(~mask.unsqueeze(-1), float("-inf")).amax(dim=1)  # [B, H]
        return highest.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)

    def _attention(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        scores = self.score(torch.tanh(self.projection(states)))  # [B, T, 1]
        # The lowest finite value, so that a text without tokens gets equal weights over its zeros rather than NaN.
        weights = scores.masked_fill(~mask.unsqueeze(-1), torch.finfo(scores.dtype).min).softmax(dim=1)  # [B, T, 1]
        return (weights * states).sum(dim=1)

    def _last(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The forward state after the last token beside the backward state after the first."""
        size = self.config.hidden_size
        if not is_recorded() and mask.all():
            return torch.cat([states[:, -1, :size], states[:, 0, size:]], dim=-1)  # [B, H]
        texts = torch.arange(states.shape[0], device=states.device)  # [B]
        ends = mask.long()
        first = ends.argmax(dim=1)  # [B]
        last = mask.shape[1] - 1 - ends.flip(1).argmax(dim=1)  # [B]
        return torch.cat([states[texts, last, :size], states[texts, first, size:]], dim=-1)  # [B, H]


class GloveBiLSTMForSequenceClassification(GloveBiLSTMPreTrainedModel):
    """The BiLSTM with a linear head over its pooled states: a text classifier, or a regressor."""

    def __init__(self, config: GloveBiLSTMConfig) -> None:
        """Make the model with fresh weights."""
        super().__init__(config)
        self.glove_bilstm = GloveBiLSTMModel(config)
        self.pooler = GloveBiLSTMPooler(config)
        self.classifier_dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(pooled_size(config), cast(int, config.num_labels))
        self.post_init()
        # Transformers takes over what the base model ignores; here a weight without a place is one that gets lost.
        self._keys_to_ignore_on_load_unexpected = set()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Classify the texts.

        Args:
            input_ids: Token ids, ``[B, T]``.
            attention_mask: 1 for a token, 0 for padding, ``[B, T]``; see `GloveBiLSTMModel.forward`.
            inputs_embeds: Vectors in place of ids, ``[B, T, D]``.
            labels: Class ids ``[B]``; 0s and 1s as floats ``[B, C]`` for multi-label classification; or values
                ``[B]`` (``[B, C]``) for regression. `config.problem_type` says which; where it is None, the number of
                labels and their dtype decide, and the configuration keeps the decision.
            output_hidden_states: Return the embeddings and every layer's states.
            **kwargs: `return_dict=False` gives a tuple; anything else that other models take is ignored.

        Returns:
            `logits` ``[B, C]``, of a regressor in the targets' own units; with labels also `loss`, a mean over the
            batch (of a regressor: of standardised targets); `hidden_states` where asked for.
        """
        mask = token_mask(input_ids, attention_mask, inputs_embeds, self.config)  # [B, T]
        outputs = self.glove_bilstm(
            input_ids=input_ids,
            attention_mask=mask,
            inputs_embeds=inputs_embeds,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        pooled = self.pooler(outputs.last_hidden_state, mask)  # [B, P]
        if isinstance(self.classifier.weight, torch.Tensor):  # of a quantised head it is a method
            pooled = pooled.to(self.classifier.weight.dtype)
        logits = self.classifier(self.classifier_dropout(pooled))  # [B, C]
        loss = None
        if labels is not None:
            if self.config.problem_type is None and self.config.num_labels == 1:  # as `loss_function` decides, later
                self.config.problem_type = "regression"
            if self.config.problem_type == "regression":
                labels = (labels - self.config.target_mean) / self.config.target_std
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        if self.config.problem_type == "regression":
            logits = logits * self.config.target_std + self.config.target_mean
        return SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states)


def token_mask(
    input_ids: torch.Tensor | None,
    attention_mask: torch.Tensor | None,
    inputs_embeds: torch.Tensor | None,
    config: GloveBiLSTMConfig,
) -> torch.Tensor:
    """Which positions hold a token, as booleans ``[B, T]``.

    Raises:
        ValueError: Not exactly one of `input_ids` and `inputs_embeds` is given, or the mask is of another shape.
    """
    if (input_ids is None) == (inputs_embeds is None):
        raise ValueError("Give either input_ids or inputs_embeds, and not both.")
    shape = input_ids.shape if input_ids is not None else cast(torch.Tensor, inputs_embeds).shape[:2]
    if attention_mask is not None:
        if attention_mask.shape != shape:
            raise ValueError(f"attention_mask is {list(attention_mask.shape)} and its texts are {list(shape)}.")
        return attention_mask.bool()
    if input_ids is not None:
        return input_ids != config.pad_token_id
    return cast(torch.Tensor, inputs_embeds).new_ones(shape, dtype=torch.bool)


def cpu_computes_in(dtype: torch.dtype) -> bool:
    """Whether the CPU's LSTM can compute in autocast's type, bfloat16 or float16."""
    if not torch.backends.mkldnn.is_available():
        return True
    onednn = torch.ops.mkldnn
    return bool(onednn._is_mkldnn_bf16_supported() if dtype == torch.bfloat16 else onednn._is_mkldnn_fp16_supported())


def is_recorded() -> bool:
    """Whether the computation is recorded, to be done for other texts: then what it does may not depend on these."""
    return torch.jit.is_tracing() or torch.compiler.is_exporting()  # type: ignore[attr-defined]


def _step(rows: int, columns: int) -> int:
    """The widest step through a matrix, row after row, that meets every row and every column."""
    return next((step for step in range(min(rows, columns), 0, -1) if gcd(step, columns) == 1), 1)


def _nothing_of(*tensors: torch.Tensor) -> torch.Tensor | float:
    """Zero, whose gradient is zero too: where processes train together, each must have one for every parameter."""
    return sum(tensor.sum() * 0.0 for tensor in tensors) if torch.is_grad_enabled() else 0.0


def _move_tokens(states: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Put the tokens of each text in another order: ``[B, T, D]`` by ``[B, T]``.

    Whole rows are copied, forth and back several times as fast as `gather` takes number by number.
    """
    starts = torch.arange(0, order.numel(), order.shape[1], device=order.device)  # [B]
    return states.flatten(0, 1).index_select(0, (order + starts.unsqueeze(1)).flatten()).view_as(states)


# A class derived from one of these, in a module of its own, is then saved with that module's file, which `auto_map`
# names; and transformers takes all of them for custom code.
GloveBiLSTMModel.register_for_auto_class("AutoModel")
GloveBiLSTMForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
