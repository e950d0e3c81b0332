"""What the server of openai_like.py answers beside chat: tokens and back, scores of given texts, embeddings."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Any

WIDTH, CONTEXT = 16, 4_096


def _ids(text: str) -> list[int]:
    return [int.from_bytes(hashlib.sha256(word.encode()).digest()[:3], "big") for word in text.split()]


def detokenized(body: Mapping[str, Any], template_end: str) -> dict[str, Any]:
    """Knows the words that its template ends with and nothing else."""
    words = dict(zip(_ids(template_end), template_end.split(), strict=True))
    return {"prompt": " ".join(words.get(token, "?") for token in body["tokens"])}


def token_logprob(token: int) -> float:
    """What the server says of a token wherever it stands."""
    return -(1 + token % 97) / 20


def tokenized(body: Mapping[str, Any], template_end: str) -> dict[str, Any]:
    text = body.get("prompt")
    if text is None:
        text = " ".join(f"<|{m['role']}|> {m['content']}" for m in body["messages"]) + f" {template_end}"
    ids = _ids(text)
    return {"tokens": ids, "count": len(ids), "max_model_len": CONTEXT}


def scored(body: Mapping[str, Any]) -> dict[str, Any]:
    choices: list[dict[str, Any]] = []
    for index, prompt in enumerate(body["prompt"]):
        choice: dict[str, Any] = {"index": index, "text": "", "finish_reason": "length"}
        if "prompt_logprobs" in body:
            shown = [{str(i): {"logprob": token_logprob(i), "rank": 1, "decoded_token": "?"}} for i in prompt]
            choice["prompt_logprobs"] = [None, *shown[1:]]
        elif body.get("echo"):
            offsets = [i for i, c in enumerate(prompt) if not c.isspace() and (i == 0 or prompt[i - 1].isspace())]
            tokens = prompt.split()
            logprobs = [None, *(token_logprob(_ids(token)[0]) for token in tokens[1:])]
            choice["logprobs"] = {"tokens": tokens, "token_logprobs": logprobs, "text_offset": offsets}
        choices.append(choice)
    return {"choices": choices[::-1], "model": body["model"]}


def embedded(body: Mapping[str, Any]) -> dict[str, Any]:
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    data = []
    for index, text in enumerate(texts):
        draw = random.Random(text)
        data.append({"index": index, "embedding": [draw.gauss(0.0, 1.0) for _ in range(WIDTH)]})
    return {"data": data[::-1], "model": body["model"], "usage": {"prompt_tokens": len(texts)}}
