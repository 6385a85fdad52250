"""The handler that Inference Endpoints run, from a model folder, in a process that doesn't know the package."""

import json
import site
import sys
from pathlib import Path

from helpers import run

CODE = f"""
import sys, json
sys.path += {site.getsitepackages()!r}
sys.path.insert(0, sys.argv[1])
from handler import EndpointHandler
handler = EndpointHandler(path=sys.argv[1])
texts = ["a good film", "awful"]
refused = []
for wrong in (
    {{"input": "a"}},
    {{"inputs": None}},
    {{"inputs": ["a", 3]}},
    [1],
    *({{"inputs": text}} for text in ({{"foo": "x"}}, {{"text": "a", "more": "b"}}, {{"text": "a", "text_pair": 3}})),
    *({{"inputs": texts, "parameters": {{"top_k": top_k}}}} for top_k in ("x", 0, -1, True)),
    {{"inputs": texts, "parameters": {{"max_length": 2**64, "truncation": True}}}},
    {{"inputs": texts, "parameters": {{"max_length": 2, "truncation": "only_second"}}}},
    {{"inputs": texts, "parameters": [1]}},
    {{"inputs": texts, "parameters": {{"function_to_apply": "foo"}}}},
    {{"inputs": texts, "parameters": {{"max_length": "x", "truncation": True}}}},
    {{"inputs": texts, "parameters": {{"truncation": "x"}}}},
    *({{"inputs": texts, "parameters": {{name: "pt"}}}} for name in ("return_tensors", "inputs")),
    {{"inputs": [{{"text": "a", "text_pair": chr(0xD83D)}}]}},
):
    try:
        handler(wrong)
    except ValueError as error:
        refused.append(str(error))
print(json.dumps([
    handler({{"inputs": texts[0]}}),
    handler({{"inputs": texts}}),
    handler({{"inputs": texts[0], "parameters": {{"top_k": None}}}}),
    handler({{"inputs": {{"text": "a good film", "text_pair": None}}, "parameters": None}}),
    handler({{"inputs": []}}),
    [answer["label"] for answer in handler.classify(texts)],
    refused,
    *(handler({{"inputs": texts[0], "parameters": {{"function_to_apply": name}}}}) for name in ("none", "NONE", None)),
    [
        handler({{"inputs": text, "parameters": {{"max_length": 2, "truncation": True}}}})
        for text in ("a good", "a good dull film")
    ],
    handler({{"inputs": texts, "parameters": {{"batch_size": 2, "max_length": None, "truncation": None}}}}),
    [
        handler({{"inputs": "a good dull", "parameters": {{"max_length": 2, "truncation": how, "padding": True}}}})
        for how in ("longest_first", "only_first", "do_not_truncate")
    ],
]))
"""


def test_requests(model: Path, tmp_path: Path) -> None:
    done = run(sys.executable, "-I", "-S", "-W", "error", "-c", CODE, model, env={"HF_HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    one, many, every, mapped, none, labels, refused, bare, loud, usual, cut, batch, how = json.loads(
        done.stdout.splitlines()[-1]
    )
    assert [answer["label"] for answer in one] == labels[:1] and mapped == one and none == []
    assert [[answer["label"] for answer in of_text] for of_text in many] == [[label] for label in labels]
    assert len(every) == 2 and sum(answer["score"] for answer in every) > 0.999
    assert bare[0]["label"] == one[0]["label"] and bare[0]["score"] != one[0]["score"]
    assert loud == bare and usual == one
    assert cut[0] == cut[1] and [answer[0]["label"] for answer in batch] == labels
    assert how[0] == how[1] == cut[0] != how[2]
    assert refused == [
        'A request needs "inputs": a text, or a list of texts.',
        *['"inputs" must be a text, or a list of texts; a pair is {"text": …, "text_pair": …}.'] * 2,
        'A request needs "inputs": a text, or a list of texts.',
        *['"inputs" must be a text, or a list of texts; a pair is {"text": …, "text_pair": …}.'] * 3,
        *(
            f'"top_k" is {top_k!r}; it must be a number from 1 to 2147483647, or null for every label.'
            for top_k in ("x", 0, -1, True)
        ),
        f'"max_length" is {2**64}; it must be a number from 1 to 2147483647, or null for no limit.',
        '"inputs" can\'t be cut as "truncation" says: Truncation error: Second sequence not provided.',
        '"parameters" is [1]; it must be an object, such as {"top_k": null}.',
        "\"function_to_apply\" is 'foo'; it must be one of sigmoid, softmax, none.",
        "\"max_length\" is 'x'; it must be a number from 1 to 2147483647, or null for no limit.",
        "\"truncation\" is 'x'; it must be true, false or one of longest_first, only_first, only_second, "
        "do_not_truncate.",
        *(
            f'"parameters" has {name!r}; it may have top_k, max_length, batch_size, function_to_apply, truncation, '
            "padding."
            for name in ("return_tensors", "inputs")
        ),
        '"inputs" holds half of a surrogate pair, which is no character. Send whole characters.',
    ]
