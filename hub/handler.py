"""What Hugging Face Inference Endpoints run: this file is shipped with every saved model, so it stands alone."""

from typing import Any

from transformers import pipeline


class EndpointHandler:
    """Classifies the texts of a request, as `pipeline("text-classification")` does."""

    def __init__(self, path: str = "") -> None:
        """Load the model, its own code included, from its folder."""
        self.classify = pipeline("text-classification", model=path, trust_remote_code=True)

    def __call__(self, data: dict[str, Any]) -> Any:
        """Answer a request.

        Args:
            data: `inputs`, a text or a list of them (a pair is `{"text": …, "text_pair": …}`); and, if wanted,
                `parameters`, such as `{"top_k": null}`.

        Returns:
            For a text `[{"label": str, "score": float}]`, the likeliest label or, by `top_k`, more of them; for a list
            of texts such an answer for each.

        Raises:
            ValueError: There are no `inputs`, or they are no texts, or `top_k` is none.
        """
        if "inputs" not in data:
            raise ValueError('A request needs "inputs": a text, or a list of texts.')
        inputs = data["inputs"]
        if inputs == []:  # the pipeline takes at least one
            return []
        if not all(isinstance(text, (str, dict)) for text in (inputs if isinstance(inputs, list) else [inputs])):
            raise ValueError('"inputs" must be a text, or a list of texts; a pair is {"text": …, "text_pair": …}.')
        parameters = {"top_k": 1, **(data.get("parameters") or {})}
        top_k = parameters["top_k"]
        if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
            raise ValueError(f'"top_k" is {top_k!r}; it must be a number from 1, or null for every label.')
        answers = self.classify(inputs if isinstance(inputs, list) else [inputs], **parameters)
        return answers if isinstance(inputs, list) else answers[0]
