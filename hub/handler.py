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
            ValueError: There are no `inputs`.
        """
        if "inputs" not in data:
            raise ValueError('A request needs "inputs": a text, or a list of texts.')
        inputs = data["inputs"]
        if inputs == []:  # the pipeline takes at least one
            return []
        parameters = {"top_k": 1, **(data.get("parameters") or {})}
        answers = self.classify(inputs if isinstance(inputs, list) else [inputs], **parameters)
        return answers if isinstance(inputs, list) else answers[0]
