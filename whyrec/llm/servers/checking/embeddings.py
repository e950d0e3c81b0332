"""Whether a server turns texts into vectors with this model, and how wide they are."""

from __future__ import annotations

from dataclasses import replace

from whyrec.llm.model import Malformed
from whyrec.llm.providers.openai_vectors import read_vectors
from whyrec.llm.providers.openai_wire import dumps
from whyrec.llm.servers.checking.asking import Asker
from whyrec.llm.servers.checking.finding import Finding, attempt


async def embeddings(asker: Asker) -> Finding:
    """Two words, and the width of what comes back."""
    body = dumps({"model": asker.model.address.model, "input": ["rain", "sun"]})
    went, found = await attempt(lambda: asker.model.post("/embeddings", body))
    try:
        width = read_vectors(found, 2, asker.model.name).shape[1] if went == "yes" else 0
    except Malformed:
        width = 0
    asker.found = replace(asker.found, embeddings=width)
    return Finding("embeddings", "yes" if width else "no", f"width {width}" if width else "not with this model")
