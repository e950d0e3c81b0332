"""Nobody is told what is computed here: libraries that report home are asked not to, in the environment they read.

LangGraph sends every graph's state to LangSmith where LANGSMITH_TRACING is set, which many have in their shell for
other work. whyrec keeps its own trace; WHYREC_LANGSMITH=1 asks for LangSmith's beside it.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

ASKED = "WHYREC_LANGSMITH"
# vLLM reports the model and the hardware, and reads both
VLLM = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
_OTHERS = {
    "ANONYMIZED_TELEMETRY": "False",  # Chroma
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_LANGSMITH = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2")


def langsmith_asked() -> bool:
    """Whether a person wants graphs at LangSmith."""
    return os.environ.get(ASKED, "").lower() not in ("", "0", "false", "no")


def hush(environment: MutableMapping[str, str] | None = None) -> None:
    """Switch reports off for this process and those it starts. What somebody has set for another library stays."""
    environment = os.environ if environment is None else environment
    for name, value in _OTHERS.items():
        environment.setdefault(name, value)
    if not langsmith_asked():
        for name in _LANGSMITH:
            if name in environment:
                environment[name] = "false"
