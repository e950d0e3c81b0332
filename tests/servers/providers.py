"""How known servers differ from the protocol, as settings of `OpenAILike`. Each is imitated, none is the real one.

Sources: design.md section 5 (measured: `transformers serve`, vLLM); a llama.cpp of October 2026 (docs/providers.md);
docs.ollama.com/api/openai-compatibility (log-probabilities came in November 2025) and grammars, which know no length of
a string; LM Studio bugs 189, 307 (only the types json_schema and text; an error is a bare string); litellm issues 37599
and 8448 (a status as text in `code`; OpenRouter's 200 with an error beside empty choices).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

LITELLM_429 = (
    '{"error":{"message":"litellm.RateLimitError: RateLimitError: OpenAIException - Rate limit reached","type":'
    '"throttling_error","param":null,"code":"429"}}'
)
LITELLM_400 = (
    '{"error":{"message":"litellm.ContextWindowExceededError: litellm.BadRequestError: too many tokens","type":null,'
    '"param":null,"code":"400"}}'
)
OLLAMA_404 = (
    '{"error":{"message":"model \\"tiny\\" not found, try pulling it first","type":"api_error","param":null,'
    '"code":null}}'
)
LLAMA_CPP_503 = '{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}'
OPENROUTER_200 = (
    '{"id":"gen-1","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant",'
    '"content":null}}],"error":{"message":"Provider returned error","code":429}}'
)
LM_STUDIO_200 = '{"error":"Unexpected endpoint or method. (POST /v1/chat/completions). Returning 200 anyway"}'


def settings(like: ModuleType, name: str) -> dict[str, Any]:
    """Attributes of an `OpenAILike` that behaves as this server."""
    every = like.ABILITIES
    return {
        "openai": {"can": every - {"choice", "prefix", "score", "context"}},
        "vllm": {"can": every},
        "ollama": {"can": every - {"n", "bounds", "choice", "score", "context"}},
        "lmstudio": {"can": every - {"n", "choice", "score"}, "only_schema": ("json_schema", "text")},
        "llama.cpp": {"can": every - {"choice", "score"}, "slots": 2, "continues": "always", "most_logprobs": 1 << 20},
        "litellm": {"can": every - {"choice", "prefix", "score", "context"}, "key": "sk-proxy"},
        "transformers serve": {"can": every - {"n", "schema", "logprobs", "choice", "score", "context"}},
    }[name]
