"""Embeddings from any OpenAI-compatible server.

The texts themselves are posted, never token ids: LangChain's OpenAIEmbeddings tokenises with OpenAI's tokenizer
first, and a server with another tokenizer then returns wrong vectors without an error (spec 7.11).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whyrec.embed.embedder import Vectors, unit_rows
from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.model import Malformed
from whyrec.llm.naming.address import DEFAULT_URLS, parse, with_base_url
from whyrec.llm.naming.keys import key_for
from whyrec.llm.naming.urls import basic
from whyrec.llm.providers.openai_vectors import read_vectors
from whyrec.llm.providers.openai_wire import read_json
from whyrec.redaction import redact

BATCH = 256


class OpenAIEmbedder:
    """`MODEL` on OpenAI's own service or at OPENAI_BASE_URL, or `MODEL@URL` on any compatible server.

    Which key goes where is the same as for language models (`whyrec.llm.naming.keys`), `?key=VARIABLE` included.

    Raises:
        UsageError: no key for OpenAI's own service, or the server does not answer with vectors.
    """

    def __init__(self, rest: str) -> None:
        import openai

        address = parse("openai", with_base_url(rest.removesuffix("@api.openai.com")))
        for option in address.options.keys() - {"key", "timeout"}:
            raise UnknownNameError("option of openai embedders", option, ("key", "timeout"))
        place = address.place
        self._key = key_for(place, named=address.options.get("key", ""), own="", usual="OPENAI_API_KEY")
        if self._key.needed and not self._key.value:
            raise UsageError(
                f"openai: embeddings need a key in the environment variable {self._key.variable}, "
                f"or a server: openai:MODEL@URL."
            )
        self._client = openai.OpenAI(
            api_key=self._key.value or "none",
            base_url=place.url,
            max_retries=4,
            timeout=address.timeout_s if "timeout" in address.options else 60.0,
            default_headers={} if place.login is None else {"Authorization": basic(*place.login)},
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
        )
        self._model, self._host = address.model, place.host
        self._where = "api.openai.com" if place.url == DEFAULT_URLS["openai"] else place.url
        self.name = f"openai-{self._model}@{self._where}"
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
                refused = isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError)
                advice = f" ({self._key.advice(self._host)})" if refused else ""
                said = f"{redact(str(error))}{advice}"
                raise UsageError(
                    f"The embedding server {self._where} did not embed with {self._model!r}: {said}"
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
