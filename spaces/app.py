"""A page on which a text is classified, and the words are marked that decided the answer.

    python spaces/app.py --model out/demo        # a folder, or a model's id on the Hub

As a Space, this folder is all that is needed; the Space's variable MODEL_ID names the model.
"""

import argparse
import os
from typing import Any

import gradio
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

MOST_TOKENS = 8_192
"""Read at once, so that a long text doesn't take all the memory."""
LONGEST, MOST_READ = 400, 160_000
"""Words that are marked at the most, and words that are read for it: the whole text for each of them. What comes after
the marked ones is read all the same."""
MOST_CHARACTERS = 50_000
"""Of a text."""


class Explainer:
    """A model, its answers, and what they rest on."""

    def __init__(self, name: str) -> None:
        """Load a model by its folder or its id on the Hub; its own code is run."""
        self.tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=True)
        self.model = AutoModelForSequenceClassification.from_pretrained(name, trust_remote_code=True).eval()
        self.labels = [self.model.config.id2label[number] for number in range(self.model.config.num_labels)]
        self.reads_pairs = self.tokenizer.sep_token is not None

    @torch.inference_mode()
    def scores(self, rows: list[list[int]]) -> torch.Tensor:
        """Texts of one length as token ids → ``[N, C]``: probabilities or, of a regressor, values."""
        parts = []
        size = max(MOST_TOKENS // max(len(rows[0]), 1), 1)
        for start in range(0, len(rows), size):
            ids = torch.tensor(rows[start : start + size], dtype=torch.long)
            logits = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.float()
            kind = self.model.config.problem_type
            if kind == "multi_label_classification":
                logits = logits.sigmoid()
            elif kind != "regression":
                logits = logits.softmax(dim=-1)
            parts.append(logits)
        return torch.cat(parts)

    def explain(self, text: str, second: str | None = None) -> tuple[Any, dict[str, Any]]:
        """The answer for a text, or for a pair, and how much of it each word makes.

        A word's weight is what the answer's probability (or the value) loses when the word is left out (Zeiler and
        Fergus 2014 call that occlusion); the largest is 1.

        Returns:
            Label → probability, or the value as text; and the text with a weight for each of its words. Of several
            labels, those that apply are ticked.
        """
        encoded = self.tokenizer(text, second, return_offsets_mapping=True)
        ids, places = encoded["input_ids"], encoded["offset_mapping"]
        text, starts = (text, [0]) if second is None else (f"{text}\n{second}", [0, len(text) + 1])
        scores = self.scores([ids])[0]  # [C]
        best = int(scores.argmax())
        if self.model.config.problem_type == "regression":
            answer: Any = f"{self.labels[0]}: {float(scores[0]):.3g}"
        else:
            answer = dict(zip(self.names(scores), scores.tolist(), strict=True))
        marked = range(min(len(ids), LONGEST, MOST_READ // max(len(ids), 1)))
        if not marked:
            return answer, {"text": text, "entities": []}
        without = self.scores([ids[:number] + ids[number + 1 :] for number in marked])[:, best]  # [T]
        lost = scores[best] - without
        weights = (lost / lost.abs().max().clamp(min=1e-9)).tolist()
        entities = [
            {"entity": weights[number], "start": starts[which] + start, "end": starts[which] + end}
            for number, which, (start, end) in zip(marked, encoded.sequence_ids(), places, strict=False)
            if which is not None  # the separator stands in neither text
        ]
        return answer, {"text": text, "entities": entities}

    def names(self, scores: torch.Tensor) -> list[str]:
        """The labels, those of several that apply with a tick."""
        config = self.model.config
        if config.problem_type != "multi_label_classification":
            return self.labels
        thresholds = config.thresholds or [0.5] * len(self.labels)
        return [
            f"✓ {label}" if score >= threshold else label
            for label, score, threshold in zip(self.labels, scores.tolist(), thresholds, strict=True)
        ]


def build(name: str) -> gradio.Interface:
    """The page for a model."""
    explainer = Explainer(name)
    several = explainer.model.config.problem_type == "multi_label_classification"
    return gradio.Interface(
        explainer.explain,
        [
            gradio.Textbox(label=label, lines=4, max_length=MOST_CHARACTERS, placeholder=hint)
            for label, hint in [("Text", "Write something, then submit."), ("Second text", "What it is read with.")][
                : 1 + explainer.reads_pairs
            ]
        ],
        [
            gradio.Label(label="Answer"),
            gradio.HighlightedText(
                label="What decided it: red speaks for the first answer, blue against it", show_legend=False
            ),
        ],
        title=os.path.basename(name.rstrip("/")),
        description="Made with glove-bilstm. Words are weighed by what the probability loses without them."
        + " Labels with a tick apply: they reach their own thresholds." * several,
        flagging_mode="never",
        api_name="explain",
    )


def main() -> None:
    """Serve the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--model", default=os.environ.get("MODEL_ID"), help="folder or Hub id; default: the variable MODEL_ID"
    )
    parser.add_argument("--port", type=int, default=7860, help="default: 7860")
    options = parser.parse_args()
    if not options.model:
        parser.error("name a model: --model out/demo, or in a Space its variable MODEL_ID")
    build(options.model).launch(server_port=options.port)


if __name__ == "__main__":
    main()
