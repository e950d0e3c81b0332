"""Local weights through transformers: `transformers:FOLDER` or a hub name, on CPU or GPU, without a server.

For small models, for tests, and as the reference for log-probabilities (spec 1.4): everything is computed from float32
logits in this process. Requests that arrive together are decoded together: one batch at a time, in a thread, so the
event loop stays free. Options: `device`, `dtype`, `batch` (rows decoded together), `template` (a file with a chat
template, for base models), `chat_template_kwargs` (JSON).

Unusual: decoding is our own loop and not `generate`, because every row has its own seed, temperature, stop texts and
limit; a row's draw depends on its seed alone. An answer restricted to given texts (`choice_format`) is masked to their
tokens, so its log-probabilities are the softmax over the labels. No grammar enforces a JSON schema here.

Shapes: B rows, L prompt tokens (padded left), V vocabulary, K tokens of a continuation.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import jinja2
import torch
import transformers

from whyrec.errors import UnknownNameError, UsageError
from whyrec.llm.labels import choices_of
from whyrec.llm.model import (
    FinishReason,
    Message,
    ModelError,
    Refused,
    Reply,
    Request,
    TokenLogprob,
    TokenScores,
    Usage,
)
from whyrec.llm.naming.address import read_object, read_options
from whyrec.llm.reasoning import begun, split_reasoning
from whyrec.llm.system_text import FOLDED, folded
from whyrec.llm.weights.digest import revision_of
from whyrec.precision import choose
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.world import World

_OPTIONS = ("device", "dtype", "batch", "template", "chat_template_kwargs")
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_WINDOW_S = 0.002  # how long the first request of a batch waits for others


@dataclass(eq=False)
class _Row:
    """One sample being decoded."""

    request: Request
    sample: int
    ids: list[int]
    allowed: list[list[int]]
    generator: torch.Generator
    said: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: FinishReason | None = None

    def pick(self, logits_V: torch.Tensor) -> tuple[int, torch.Tensor]:
        """The next token and the log-probabilities it was judged by (before temperature and top_p)."""
        if self.allowed:
            t = len(self.said)
            options = sorted({ids[t] for ids in self.allowed if ids[:t] == self.said and len(ids) > t})
            mask_V = torch.full_like(logits_V, float("-inf"))
            mask_V[options] = 0.0
            logits_V = logits_V + mask_V
        logprobs_V = logits_V.log_softmax(-1)
        sampling = self.request.sampling
        if sampling.temperature <= 0.0:
            return int(logits_V.argmax()), logprobs_V
        probs_V = (logits_V / sampling.temperature).softmax(-1)
        if sampling.top_p < 1.0:
            sorted_V, order_V = probs_V.sort(descending=True)
            keep_V = sorted_V.cumsum(-1) - sorted_V < sampling.top_p
            probs_V = torch.zeros_like(probs_V).scatter(-1, order_V[keep_V], sorted_V[keep_V])
        return int(torch.multinomial(probs_V, 1, generator=self.generator)), logprobs_V


class LocalModel:
    """A causal language model in this process. A `LanguageModel` and a `Scorer`.

    Args:
        model, tokenizer: as transformers loads them; the tokenizer needs a chat template.
        name: the string that opens it again.
        revision: what changes when the weights do.
        batch: rows decoded together.
        template_options: further arguments of the chat template.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        revision: str = "",
        batch: int = 16,
        template_options: Mapping[str, Any] | None = None,
    ) -> None:
        if not tokenizer.chat_template:
            raise UsageError(f"{name} has no chat template; name a file with one: {name}?template=FILE.")
        self.name, self.revision = name, revision
        self._model, self._tokenizer, self._batch = model.eval(), tokenizer, batch
        self._template_options = dict(template_options or {})
        self.system_way = "" if self._takes_system_text() else FOLDED
        self._device = model.device
        self._context = getattr(model.config, "max_position_embeddings", None) or 1 << 30
        stops = model.generation_config.eos_token_id
        self._ends = {tokenizer.eos_token_id, *(stops if isinstance(stops, list) else [stops])} - {None}
        self._pad = next((i for i in (tokenizer.pad_token_id, *self._ends) if i is not None), 0)
        self._one_batch = threading.Lock()
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()

    async def complete(self, request: Request) -> list[Reply]:
        """One reply per sample index, in the order asked.

        Raises:
            Refused: the prompt leaves no room for an answer.
        """
        ids, text = self._render(request)
        if len(ids) >= self._context:
            raise Refused(
                f"{self.name} reads at most {self._context} tokens and the prompt has {len(ids)}: show less in it."
            )
        allowed = [[*self._tail(ids, text, choice), *sorted(self._ends)[:1]] for choice in choices_of(request.format)]
        rows = [self._row(request, sample, ids, allowed) for sample in request.samples]
        start = time.perf_counter()
        await self._queue().decode(rows)
        seconds = time.perf_counter() - start
        return [self._reply(row, first=row is rows[0], seconds=seconds) for row in rows]

    def _row(self, request: Request, sample: int, ids: list[int], allowed: list[list[int]]) -> _Row:
        seed = request.sampling.seed
        drawn = secrets.randbits(63) if seed is None else seed + sample
        return _Row(request, sample, ids, allowed, torch.Generator().manual_seed(drawn))

    async def score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        """Log-likelihood of each continuation after the prompt (and prefix), from float32 logits."""
        ids, text = self._render(request)
        tails = [self._tail(ids, text, continuation) for continuation in continuations]
        too_long = max((len(tail) for tail in tails), default=0) + len(ids) - self._context
        if too_long > 0:
            raise Refused(f"{self.name} reads at most {self._context} tokens; this is {too_long} more to score.")
        found: list[tuple[float, ...]] = []
        for i in range(0, len(tails), self._batch):
            found += await asyncio.to_thread(self._score, ids, tails[i : i + self._batch])
        return [TokenScores(text, logprobs) for text, logprobs in zip(continuations, found, strict=True)]

    def _takes_system_text(self) -> bool:
        """Whether the chat template has a system role and says what stands in it."""
        told = "whyrec asks"
        try:
            return told in self._templated((Message("system", told), Message("user", "?")))
        except jinja2.TemplateError:
            return False

    def _templated(self, messages: Sequence[Message]) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        text: str = self._tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True, **self._template_options
        )
        return text

    def _render(self, request: Request) -> tuple[list[int], str]:
        """The prompt as token ids and as text, ready for the answer's first token. The template brings its own BOS."""
        try:
            text = self._templated(folded(request.messages) if self.system_way else request.messages)
        except jinja2.TemplateError as error:
            raise Refused(f"The chat template of {self.name} refuses these messages: {error}.") from None
        text = text.removesuffix(begun(text, request.prefix)) + request.prefix
        return self._ids(text), text

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _tail(self, ids: list[int], text: str, continuation: str) -> list[int]:
        """The continuation's ids in context where the prompt's ids stay as they are, else on its own (spec 1.4)."""
        whole = self._ids(text + continuation)
        return whole[len(ids) :] if whole[: len(ids)] == ids else self._ids(continuation)

    def _reply(self, row: _Row, *, first: bool, seconds: float) -> Reply:
        said = [token for token in row.said if token not in self._ends]
        text = self._tokenizer.decode(said, skip_special_tokens=True)
        for stop in row.request.sampling.stop:
            text = text.partition(stop)[0]
        reasoning, answer = split_reasoning(text, prefix=row.request.prefix)
        return Reply(
            text=answer,
            reasoning=reasoning,
            sample=row.sample,
            usage=Usage(len(row.ids) if first else 0, len(row.said)),
            finish_reason=row.finish or "stop",
            logprobs=tuple(row.logprobs),
            model=self.name,
            service_s=seconds,
        )

    def _queue(self) -> _Queue:
        loop = asyncio.get_running_loop()
        return self._queues.get(loop) or self._queues.setdefault(loop, _Queue(self))

    async def close(self) -> None:
        """Nothing to give back but memory, which goes with the object."""

    def _pad_left(self, rows: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and mask, [B, L]."""
        width = max(map(len, rows))
        ids_BL = torch.tensor([[self._pad] * (width - len(row)) + row for row in rows], device=self._device)
        mask_BL = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=self._device)
        return ids_BL, mask_BL

    @torch.inference_mode()
    def decode(self, rows: Sequence[_Row]) -> None:
        """Run all rows to their ends. Blocking; one batch at a time."""
        with self._one_batch:
            ids_BL, mask_BL = self._pad_left([row.ids for row in rows])
            cache = None
            while True:
                places_BL = (mask_BL.cumsum(-1) - 1).clamp(min=0)[:, -ids_BL.shape[1] :]
                out = self._model(
                    input_ids=ids_BL,
                    attention_mask=mask_BL,
                    position_ids=places_BL,
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=1,
                )
                cache, logits_BV = out.past_key_values, out.logits[:, -1].float().cpu()
                tokens = [self._step(row, logits_V) for row, logits_V in zip(rows, logits_BV, strict=True)]
                if all(row.finish for row in rows):
                    return
                ids_BL = torch.tensor(tokens, device=self._device)[:, None]
                mask_BL = torch.cat([mask_BL, mask_BL.new_ones(len(rows), 1)], dim=1)

    def _step(self, row: _Row, logits_V: torch.Tensor) -> int:
        """Add one token to a row and see whether it ends; a row that has ended is fed padding."""
        if row.finish:
            return int(self._pad)
        token, logprobs_V = row.pick(logits_V)
        row.said.append(token)
        if row.request.top_logprobs and token not in self._ends:
            row.logprobs.append(self._explain(token, logprobs_V, row.request.top_logprobs))
        sampling = row.request.sampling
        if token in self._ends or row.said in row.allowed or (sampling.stop and self._stopped(row.said, sampling.stop)):
            row.finish = "stop"
        elif len(row.said) >= sampling.max_tokens or len(row.ids) + len(row.said) >= self._context:
            row.finish = "length"
        return token

    def _stopped(self, said: list[int], stops: Sequence[str]) -> bool:
        text = self._tokenizer.decode(said, skip_special_tokens=True)
        return any(stop in text for stop in stops)

    def _explain(self, token: int, logprobs_V: torch.Tensor, count: int) -> TokenLogprob:
        top = logprobs_V.topk(min(count, logprobs_V.shape[-1]))
        pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        shown = tuple((self._tokenizer.decode([i]), value) for i, value in pairs if value > float("-inf"))
        return TokenLogprob(self._tokenizer.decode([token]), float(logprobs_V[token]), shown)

    @torch.inference_mode()
    def _score(self, ids: list[int], tails: Sequence[list[int]]) -> list[tuple[float, ...]]:
        with self._one_batch:
            longest = max(map(len, tails))
            if not longest:
                return [()] * len(tails)
            ids_BL, mask_BL = self._pad_left([ids + tail for tail in tails])
            places_BL = (mask_BL.cumsum(-1) - 1).clamp(min=0)
            out = self._model(
                input_ids=ids_BL, attention_mask=mask_BL, position_ids=places_BL, logits_to_keep=longest + 1
            )
            logprobs_BKV = out.logits[:, :-1].float().log_softmax(-1).cpu()
            found = []
            for logprobs_KV, tail in zip(logprobs_BKV, tails, strict=True):
                last_KV = logprobs_KV[longest - len(tail) :]
                found.append(tuple(float(last_KV[k, token]) for k, token in enumerate(tail)))
            return found


class _Queue:
    """Rows of one event loop waiting to be decoded; what arrives within a moment is decoded together."""

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self._waiting: list[tuple[_Row, asyncio.Future[None]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def decode(self, rows: Sequence[_Row]) -> None:
        futures = [asyncio.get_running_loop().create_future() for _ in rows]
        self._waiting += zip(rows, futures, strict=True)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        await asyncio.gather(*futures)

    async def _work(self) -> None:
        await asyncio.sleep(_WINDOW_S)
        while self._waiting:
            batch = [pair for pair in self._waiting[: self._model._batch] if not pair[1].done()]
            del self._waiting[: self._model._batch]
            if not batch:
                continue
            error: ModelError | None = None
            try:
                await asyncio.to_thread(self._model.decode, [row for row, _ in batch])
            except torch.OutOfMemoryError:
                error = Refused(f"{self._model.name} ran out of memory; decode fewer rows together with ?batch=1.")
            except Exception as fault:
                error = ModelError(f"{self._model.name} failed ({type(fault).__name__}): {fault}")
            for _, future in batch:
                if future.done():
                    continue
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)


def open_transformers(rest: str, *, settings: Settings, world: World | None) -> LocalModel:
    """`transformers:FOLDER?option=value&...`.

    Raises:
        UsageError: the folder or hub name cannot be loaded, or an option is wrong.
        UnknownNameError: an option nobody knows.
    """
    where, _, query = rest.partition("?")
    options = read_options(query, "&")
    for option in options:
        if option not in _OPTIONS:
            raise UnknownNameError("option of local models", option, _OPTIONS)
    device = options.get("device", "cuda" if torch.cuda.is_available() else "cpu")
    dtype = options.get("dtype") or _precision(settings, device)
    if dtype not in _DTYPES:
        raise UnknownNameError("dtype", dtype, _DTYPES)
    if not re.fullmatch("[0-9]{1,6}", options.get("batch", "16")):
        raise UsageError(f"The option batch={options['batch']} of transformers:{rest} must be a whole number.")
    template_options = read_object(
        options.get("chat_template_kwargs", "{}"), "chat_template_kwargs", f"transformers:{rest}"
    )
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(where)
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(where, dtype=_DTYPES[dtype])
        model = model.to(device)
        if "template" in options:
            tokenizer.chat_template = Path(options["template"]).read_text(encoding="utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        said = str(error).strip().splitlines()[0][:300].rstrip(".") if str(error).strip() else type(error).__name__
        raise UsageError(
            f"transformers:{where} cannot be loaded: {said}. Name a folder with weights and tokenizer."
        ) from None
    return LocalModel(
        model,
        tokenizer,
        name=f"transformers:{rest}",
        # weights in another precision answer otherwise, so they are another revision
        revision=revision_of(where, template=options.get("template", "")) + ("" if dtype == "float32" else f"-{dtype}"),
        batch=max(1, int(options.get("batch", "16"))),
        template_options=template_options,
    )


def _precision(settings: Settings, device: str) -> str:
    """The dtype of the weights: what is fastest on this device, unless the settings say."""
    chosen = choose(settings.precision, device).kind
    return "float32" if chosen == "tf32" else chosen
