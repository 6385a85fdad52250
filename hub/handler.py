"""What Hugging Face Inference Endpoints run: this file is shipped with every saved model, so it stands alone."""

import json
import re
from typing import Any

from transformers import pipeline

FUNCTIONS = ("sigmoid", "softmax", "none")
"""What the pipeline may make of a model's numbers."""
NUMBERS = {"top_k": "for every label", "max_length": "for no limit", "batch_size": "for one text at a time"}
"""The parameters that are numbers, and what null means in them."""
MOST = 2**31 - 1
"""The largest that they may be: what code below Python counts to."""
STRATEGIES = ("longest_first", "only_first", "only_second", "do_not_truncate")
"""How a pair may be cut, in the tokenizer's words."""
SURROGATE = re.compile("[\ud800-\udfff]")
"""What JSON may hold as an escape, and no text may."""
PARAMETERS = (*NUMBERS, "function_to_apply", "truncation", "padding")


class EndpointHandler:
    """Classifies the texts of a request, as `pipeline("text-classification")` does."""

    def __init__(self, path: str = "") -> None:
        """Load the model, its own code included, from its folder."""
        self.classify = pipeline("text-classification", model=path, trust_remote_code=True)

    def __call__(self, data: dict[str, Any]) -> Any:
        """Answer a request.

        Args:
            data: `inputs`, a text or a list of them (a pair is `{"text": …, "text_pair": …}`); and, if wanted,
                `parameters`, such as `{"top_k": null}`: see `PARAMETERS`; with `truncation`, true, false or one of
                `STRATEGIES`, and `max_length` texts are cut to so many words. `padding` changes nothing: texts that
                are read together are padded anyway.

        Returns:
            For a text `[{"label": str, "score": float}]`, the likeliest label or, by `top_k`, more of them; for a list
            of texts such an answer for each.

        Raises:
            ValueError: There are no `inputs`, or they are no texts; or `parameters`, or one of them, can't be used.
        """
        if not isinstance(data, dict) or "inputs" not in data:
            raise ValueError('A request needs "inputs": a text, or a list of texts.')
        inputs = data["inputs"]
        if inputs == []:  # the pipeline takes at least one
            return []
        if not all(map(_is_text, inputs if isinstance(inputs, list) else [inputs])):
            raise ValueError('"inputs" must be a text, or a list of texts; a pair is {"text": …, "text_pair": …}.')
        if SURROGATE.search(json.dumps(inputs, ensure_ascii=False)):
            raise ValueError('"inputs" holds half of a surrogate pair, which is no character. Send whole characters.')
        given = data.get("parameters")
        if not isinstance(given, dict | None):
            raise ValueError(f'"parameters" is {given!r}; it must be an object, such as {{"top_k": null}}.')
        parameters = {"top_k": 1, **(given or {})}
        if unknown := [name for name in parameters if name not in PARAMETERS]:
            raise ValueError(f'"parameters" has {unknown[0]!r}; it may have {", ".join(PARAMETERS)}.')
        for name, without in NUMBERS.items():
            number = parameters.get(name)
            # True is an int in Python.
            if number is not None and (type(number) is not int or not 1 <= number <= MOST):
                raise ValueError(f'"{name}" is {number!r}; it must be a number from 1 to {MOST}, or null {without}.')
        truncation = parameters.get("truncation")
        if not isinstance(truncation, bool | None) and truncation not in STRATEGIES:
            raise ValueError(
                f'"truncation" is {truncation!r}; it must be true, false or one of {", ".join(STRATEGIES)}.'
            )
        function = parameters.get("function_to_apply")
        if function is not None and str(function).lower() not in FUNCTIONS:
            raise ValueError(f'"function_to_apply" is {function!r}; it must be one of {", ".join(FUNCTIONS)}.')
        parameters.pop("padding", None)
        try:
            answers = self.classify(inputs if isinstance(inputs, list) else [inputs], **parameters)
        except Exception as error:  # the tokenizer raises no narrower one
            if "Truncation error" not in str(error):
                raise
            raise ValueError(f'"inputs" can\'t be cut as "truncation" says: {error}.') from error
        return answers if isinstance(inputs, list) else answers[0]


def _is_text(given: Any) -> bool:
    """Whether this is a text, or a mapping of a text and perhaps the second of a pair."""
    if not isinstance(given, dict):
        return isinstance(given, str)
    second = given.get("text_pair")
    return isinstance(given.get("text"), str) and isinstance(second, str | None) and {*given} <= {"text", "text_pair"}
