"""Any server that speaks OpenAI's protocol: OpenAI itself, `vllm serve`, Ollama, LM Studio, llama.cpp, a proxy.

A thin client over one aiohttp session per event loop, because CPU time per call decides how many graphs one process
can drive (design section 5: the openai package costs 1.1-2.0 ms a call, this about a tenth). Names:
`openai:MODEL`, `vllm:MODEL@URL`, `llamacpp:MODEL`, `ollama:MODEL`, `lmstudio:MODEL`, and options behind a question mark
(see `whyrec.llm.naming.address`). What the server can do comes from `whyrec llm check`, else from what its scheme
promises.

Unusual: samples are asked in runs of consecutive indices, because a server gives its i-th choice the seed plus i; a
server that silently returns fewer choices than `n` is asked again for the missing ones, one by one. A reply's text
never includes the prefix it continues.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
import urllib.request
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from whyrec.errors import UsageError
from whyrec.llm.capabilities import WIDE, Capabilities, read_checked
from whyrec.llm.model import (
    Disconnected,
    Malformed,
    ModelError,
    Overloaded,
    Refused,
    Reply,
    Request,
    ServerFault,
    TimedOut,
    TokenScores,
)
from whyrec.llm.naming.address import Address, parse, with_base_url
from whyrec.llm.naming.keys import Key, key_for
from whyrec.llm.naming.urls import basic
from whyrec.llm.providers.openai_errors import add_v1, error_for, error_in, is_page
from whyrec.llm.providers.openai_fields import entries, shown, text
from whyrec.llm.providers.openai_score import score
from whyrec.llm.providers.openai_wire import RequestWriter, Told, error_of, read_chat, read_json, refused_prefix
from whyrec.llm.sent import Sent
from whyrec.llm.system_text import FOLDED
from whyrec.llm.wrappers.together import together
from whyrec.redaction import KNOWN
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.world import World

_CONNECTIONS = 1_024  # per event loop; how many calls are in flight is the limiter's business
_LARGE = 1 << 20


class OpenAICompatible:
    """One model behind one URL. A `LanguageModel` and a `Scorer`.

    Args:
        address: the parsed name.
        capabilities: what the server can do.
        key: what is shown to this server and to no other; it appears in no message.
    """

    def __init__(
        self,
        address: Address,
        *,
        capabilities: Capabilities | None = None,
        key: Key | None = None,
    ) -> None:
        self.name, self.revision = address.name, ""
        self.address = address
        self.can = capabilities or address.capabilities(Capabilities())
        self._key = key or Key()
        self._writer = RequestWriter(address, self.can)
        self._chat = URL(f"{address.url}/chat/completions")
        self._timeout = aiohttp.ClientTimeout(total=address.timeout_s, sock_connect=min(10.0, address.timeout_s))
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}
        self._proxy = _proxy(address.url)
        self._cost = 0.0 if address.local else None
        self.most_logprobs, self.slots = self.can.logprobs, self.can.slots
        self.system_way = FOLDED if self.can.system == "user" else ""

    def check_key(self) -> None:
        """Before anything is asked.

        Raises:
            UsageError: the server needs a key and there is none.
        """
        if self._key.needed and not self._key.value:
            raise UsageError(
                f"{self.name} needs an API key: set the environment variable {self._key.variable} (or name another one "
                f"with ?key=VARIABLE)."
            )

    async def complete(self, request: Request) -> list[Reply]:
        """One reply per sample index, in the order asked; see `LanguageModel.complete`."""
        if request.prefix and self.can.prefix == "none":
            raise refused_prefix(self.name)
        if request.top_logprobs and not self.can.logprobs:
            raise Refused(f"{self.name} gives no log-probabilities; use a server that does (vLLM, llama.cpp).")
        several = self.can.n and request.sampling.temperature > 0.0  # vLLM refuses n > 1 where nothing is drawn
        runs = _runs(request, together=several, most=self.can.slots)
        if len(runs) == 1:
            return await self._ask(request, runs[0])
        try:
            answers = await together([self._ask(request, run) for run in runs])
        except ModelError as error:
            error.paid = True  # others of them may have been answered
            raise
        return [reply for replies in answers for reply in replies]

    def as_sent(self, request: Request) -> Sent:
        """What bounds the answers to a request, options of the name included."""
        return self._writer.sent(request)

    async def _ask(self, request: Request, samples: tuple[int, ...]) -> list[Reply]:
        body = self._writer.chat(request, n=len(samples), first=samples[0])
        start = time.perf_counter()
        answer = await self._post(self._chat, body)
        told = Told(self.name, time.perf_counter() - start, self._cost)
        try:
            replies = read_chat(answer, request, samples, told)
            if len(replies) == len(samples):
                return replies
            read = {reply.sample: reply for reply in replies}
            alone = await together([self._ask(request, (sample,)) for sample in samples if sample not in read])
        except ModelError as error:
            error.paid = True  # it was answered, and so charged, whatever became of the answer
            raise
        read |= {reply.sample: reply for answers in alone for reply in answers}
        return [read[sample] for sample in samples]

    async def score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        """Log-likelihood of each continuation; see `Scorer.score`.

        Raises:
            UsageError: the server cannot score given texts.
        """
        try:
            return await score(self, request, continuations)
        except ServerFault as error:
            error.paid = True  # of its several requests some were answered
            raise

    async def post(self, path: str, body: bytes) -> dict[str, Any]:
        """POST a JSON body to `path` below the base URL ("/embeddings"), or below its root if it begins with "//".

        Raises:
            ModelError: as `complete` does.
        """
        found = await self._post(self._at(path), body)
        if not isinstance(found, dict):
            raise Malformed(f"{self.name} answered {path} with something that is no JSON object: {shown(found)}.")
        return found

    async def models(self) -> list[str]:
        """Names of the models that the server offers."""
        return sorted(await self.offered())

    async def ping(self) -> None:
        """Find out whether the server is there; whatever it says, it is.

        Raises:
            ModelError: nothing answers.
        """
        with contextlib.suppress(Refused, ServerFault, Overloaded):
            await self.offered()

    async def get(self, path: str) -> Any:
        """GET `path` below the base URL ("/models"), or below its root if it begins with "//" ("//props").

        Raises:
            ModelError: as `complete` does.
        """
        return await self._exchange("GET", self._at(path), None)

    def _at(self, path: str) -> URL:
        base = self.address.url.removesuffix("/v1") if path.startswith("//") else self.address.url
        return URL(base + path.replace("//", "/", 1))

    async def offered(self) -> dict[str, dict[str, Any]]:
        """What /models says of each model, by name.

        Raises:
            ModelError: as `complete` does.
        """
        found = await self.get("/models")
        listed = entries(found.get("data") if isinstance(found, dict) else found)  # Together sends the bare list
        return {entry["id"]: entry for entry in listed if isinstance(entry, dict) and text(entry.get("id"))}

    async def _post(self, url: URL, body: bytes) -> Any:
        return await self._exchange("POST", url, body if len(body) < _LARGE else io.BytesIO(body))

    async def _exchange(self, method: str, url: URL, body: bytes | io.BytesIO | None) -> Any:
        """The object or list that the server answers."""
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop) or self._open_session(loop)
        where = self.address.where
        try:
            # not `async with`: reading to the end gives the connection back, and this is the hot path
            response = await session.request(
                method, url, data=body, proxy=self._proxy, allow_redirects=False, timeout=self._timeout
            )
            raw = KNOWN.cut_bytes(await response.read())  # some servers say the key they were shown
        except TimeoutError:
            raise TimedOut(f"{where} did not answer within {self.address.timeout_s:g} seconds.") from None
        except aiohttp.ClientConnectorError as error:
            raise Disconnected(
                f"Nothing answers at {self.address.url} ({error.os_error.strerror or error}): start the server of "
                f"{self.name}, or name another one as {self.name.partition('@')[0]}@URL."
            ) from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise Disconnected(f"{where} dropped the connection ({type(error).__name__}).") from None
        paid = response.status == 200  # an answer that cannot be read, or an error in one, may have been charged
        if paid:
            try:
                found = self._read(raw)
            except ModelError as error:
                error.paid = True
                raise
            if error_of(found) is None:
                return found
        complaint = await self._complaint(method, response, raw)
        complaint.paid = paid
        raise complaint

    def _read(self, raw: bytes) -> Any:
        try:
            return read_json(raw, self.name)
        except Malformed:
            if is_page(raw) and (hint := add_v1(self.address)):
                raise Refused(f"{self.address.where} answers with a web page.{hint}") from None
            raise

    async def _complaint(self, method: str, response: aiohttp.ClientResponse, raw: bytes) -> ModelError:
        folds = self.can.system == "user"
        error = error_for(response.status, response.headers, raw, self.address, key=self._key, folds=folds)
        if response.status == 404 and method == "POST":
            try:
                offered = await self.models()
            except Exception:  # the first error is the one to show
                return error
            if offered and self.address.model not in offered:
                return Refused(
                    f"{self.address.url} has no model {self.address.model!r}; it offers {', '.join(offered[:20])}."
                )
            if offered:
                return Refused(f"{self.address.where} knows no such request: {error_in(raw).said.rstrip('.')}.")
        return error

    def _open_session(self, loop: asyncio.AbstractEventLoop) -> aiohttp.ClientSession:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key.value:
            headers["Authorization"] = f"Bearer {self._key.value}"
        elif self.address.place.login is not None:
            headers["Authorization"] = basic(*self.address.place.login)
        session = self._sessions[loop] = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=30.0, ttl_dns_cache=300),
            headers=headers,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return session

    async def close(self) -> None:
        """Close the connections of this event loop. Idempotent; a later call opens new ones."""
        if session := self._sessions.pop(asyncio.get_running_loop(), None):
            await session.close()


def _runs(request: Request, *, together: bool, most: int | None) -> list[tuple[int, ...]]:
    """Sample indices grouped into requests: consecutive ones share one, all of them where no seed ties them down.

    Args:
        request: what is asked.
        together: whether one request may ask for several.
        most: for how many at most; None without a limit.
    """
    samples = request.samples
    if len(samples) == 1:
        return [samples]
    if not together:
        return [(sample,) for sample in samples]
    most = most or len(samples)
    runs: list[list[int]] = []
    for sample in samples:
        follows = runs and (request.sampling.seed is None or sample == runs[-1][-1] + 1)
        if follows and len(runs[-1]) < most:
            runs[-1].append(sample)
        else:
            runs.append([sample])
    return [tuple(run) for run in runs]


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this URL, looked up once and not on every call."""
    parts = URL(url)
    if urllib.request.proxy_bypass(parts.host or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)


_VLLM = Capabilities(prefix="continue", score="tokens", choice=True)
_SINGLE = Capabilities(n=False, prefix="prefill")
_LLAMA_CPP = Capabilities(n=False, prefix="prefill", logprobs=WIDE)


def open_openai(rest: str, *, settings: Settings, world: World | None) -> OpenAICompatible:
    """`openai:MODEL` at OpenAI (or $OPENAI_BASE_URL), `openai:MODEL@URL` at any compatible server."""
    address = parse("openai", with_base_url(rest))
    official = address.host == "api.openai.com"
    base = Capabilities(schema="strict", max_tokens="max_completion_tokens") if official else Capabilities()
    return _open(address, base, usual="OPENAI_API_KEY", settings=settings)


def open_vllm(rest: str, *, settings: Settings, world: World | None) -> OpenAICompatible:
    """`vllm:MODEL`: a `vllm serve` on this machine or behind a URL."""
    return _open(parse("vllm", rest), _VLLM, own="VLLM_API_KEY", usual="VLLM_API_KEY", settings=settings)


def open_ollama(rest: str, *, settings: Settings, world: World | None) -> OpenAICompatible:
    """`ollama:MODEL`: an Ollama server, which draws one answer per request."""
    return _open(parse("ollama", rest), _SINGLE, settings=settings)


def open_llamacpp(rest: str, *, settings: Settings, world: World | None) -> OpenAICompatible:
    """`llamacpp:MODEL`: a llama.cpp server; it draws as many answers at once as it has slots, which a check counts."""
    key = "LLAMA_API_KEY"  # as llama-server calls it
    return _open(parse("llamacpp", rest), _LLAMA_CPP, own=key, usual=key, settings=settings)


def open_lmstudio(rest: str, *, settings: Settings, world: World | None) -> OpenAICompatible:
    """`lmstudio:MODEL`: an LM Studio server, which draws one answer per request."""
    return _open(parse("lmstudio", rest), _SINGLE, settings=settings)


def _open(
    address: Address, base: Capabilities, *, settings: Settings, own: str = "", usual: str = ""
) -> OpenAICompatible:
    checked = read_checked(settings.home, address.url, address.model)
    return OpenAICompatible(
        address,
        capabilities=address.capabilities(checked or base),
        key=key_for(address.place, named=address.options.get("key", ""), own=own, usual=usual),
    )
