"""Embeddings from any OpenAI-compatible server.

The texts themselves are posted, never token ids: LangChain's OpenAIEmbeddings tokenises with OpenAI's tokenizer
first, and a server with another tokenizer then returns wrong vectors without an error (spec 7.11).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from whyrec.embed.embedder import Vectors, unit_rows
from whyrec.errors import UsageError
from whyrec.llm.model import Malformed
from whyrec.llm.providers.openai_vectors import read_vectors
from whyrec.llm.providers.openai_wire import read_json

BATCH = 256


class OpenAIEmbedder:
    """`MODEL` on OpenAI's own service, or `MODEL@URL` on any compatible server (key from OPENAI_API_KEY if set).

    Raises:
        UsageError: no key for OpenAI's own service, or the server does not answer with vectors.
    """

    def __init__(self, rest: str) -> None:
        import openai

        model, _, url = rest.partition("@")
        key = os.environ.get("OPENAI_API_KEY", "")
        if not model:
            raise UsageError("Name a model: openai:MODEL or openai:MODEL@http://HOST:PORT/v1.")
        if not url and not key:
            raise UsageError(
                "openai: embeddings need a key in the environment variable OPENAI_API_KEY, "
                "or a server: openai:MODEL@URL."
            )
        self._client = openai.OpenAI(api_key=key or "none", base_url=url or None, max_retries=4, timeout=60.0)
        self._model, self._where = model, url or "api.openai.com"
        self.name = f"openai-{model}@{self._where}"
        self.width = 0
        self.width = int(self.embed(["width"]).shape[1])

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32[len(texts), width], unit rows. An empty text is sent as one space (servers refuse empty input)."""
        import openai

        server = f"The embedding server {self._where}"
        rows: list[Vectors] = []
        for start in range(0, len(texts), BATCH):
            batch = [t or " " for t in texts[start : start + BATCH]]
            try:
                answer = self._client.embeddings.with_raw_response.create(
                    model=self._model, input=batch, encoding_format="float"
                )
                found = read_vectors(read_json(answer.content, server), len(batch), server)
            except openai.OpenAIError as error:
                raise UsageError(
                    f"The embedding server {self._where} did not embed with {self._model!r}: {error}"
                ) from None
            except Malformed as error:
                raise UsageError(f"{error} Name a server and a model that embed texts.") from None
            rows.append(found)
        if len({found.shape[1] for found in rows} | ({self.width} if self.width else set())) > 1:
            raise UsageError(f"{server} answers with vectors of several widths: name one model that embeds texts.")
        return unit_rows(np.concatenate(rows)) if rows else np.zeros((0, self.width), dtype=np.float32)

    def close(self) -> None:
        """Give back the connections."""
        self._client.close()
