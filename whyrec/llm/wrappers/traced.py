"""Every call of a run, in the run: who asked what for whom, what was answered, what it cost, or why it failed.

With a prompt's blanks the messages can be rendered again, so a trace keeps the blanks and, of a repair, the messages
that came after; without blanks it keeps the messages. Texts are stored once per run. A request that a budget refused
was never sent and is no call. Whoever asks may say what makes an answer unusable (`About.wrong`): that is kept with it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from whyrec.llm.model import (
    UNKNOWN,
    USABLE,
    Halted,
    LanguageModel,
    Message,
    ModelError,
    Reply,
    Request,
    TokenScores,
)
from whyrec.llm.wrappers.cached import Digests
from whyrec.llm.wrappers.wrapper import Wrapper
from whyrec.redaction import redact
from whyrec.runs import CallRecord, Run, Text, pack

_LONGEST = 2000  # characters of a sentence
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=str).encode


class Traced(Wrapper):
    """Records each reply and each error in a run.

    Args:
        inner: the model.
        run: where to record.
        digests: shared with the cache, so that settings are written as JSON once.
    """

    def __init__(self, inner: LanguageModel, run: Run, *, digests: Digests | None = None) -> None:
        super().__init__(inner)
        self._run, self._digests = run, digests or Digests()
        self._model = redact(self.name)
        self._settings: dict[str, Text] = {}

    async def complete(self, request: Request) -> list[Reply]:
        """Answer and record one call per sample; an error is one call."""
        at, body = time.time(), self._digests.body(request)
        try:
            replies = await self.inner.complete(request)
        except ModelError as error:
            if not isinstance(error, Halted):
                digest = self._digests.of_sample(body, request, request.samples[0])
                self._run.log(self._failed(at, "complete", request, digest, error))
            raise
        settings, blanks, messages = self._asked(request)
        judge = request.about.wrong
        for reply in replies:
            wrong = None if judge is None else judge(reply)
            self._run.log(
                CallRecord(
                    at,
                    "complete",
                    self._model,
                    self._digests.of_sample(body, request, reply.sample),
                    reply.sample,
                    request.retry,
                    request.about,
                    settings,
                    blanks,
                    messages,
                    pack(reply.text) if reply.text else None,
                    pack(reply.reasoning) if reply.reasoning else None,
                    _logprobs(reply) if reply.logprobs else None,
                    reply,
                    unreadable=redact(wrong.said)[:_LONGEST] if wrong is not None else "",
                    verdict=None if judge is None else USABLE if wrong is None else wrong.reason,
                )
            )
        return replies

    async def _score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        at = time.time()
        digest = self._digests.of_score(self._digests.body(request), request, continuations)
        try:
            scores = await self._inner_score(request, continuations)
        except ModelError as error:
            if not isinstance(error, Halted):
                self._run.log(self._failed(at, "score", request, digest, error))
            raise
        settings, blanks, messages = self._asked(request)
        answer = pack(_encode([[score.continuation, score.logprobs] for score in scores]))
        states = {one.cache for one in scores}
        if "miss" in states or not states:
            cost = 0.0 if self.free else None  # no server says what scoring took
            reply = Reply("", model=self.name, usage=UNKNOWN, service_s=time.time() - at, cost=cost)
        else:
            reply = Reply("", model=self.name, attempts=0, cache="joined" if "joined" in states else "hit")
        self._run.log(
            CallRecord(
                at,
                "score",
                self._model,
                digest,
                0,
                request.retry,
                request.about,
                settings,
                blanks,
                messages,
                answer,
                reply=reply,
            )
        )
        return scores

    def _asked(self, request: Request) -> tuple[Text, Text | None, Text | None]:
        """Settings, blanks and messages of a request, packed."""
        said = self._digests.settings(request)
        settings = self._settings.get(said)
        if settings is None:
            if len(self._settings) > 1000:
                self._settings.clear()
            settings = self._settings[said] = pack(said)
        about = request.about
        if about.blanks is None:
            return settings, None, _messages(request.messages)
        later = request.messages[about.rendered :] if about.turn else ()
        return settings, pack(_encode(about.blanks)), _messages(later) if later else None

    def _failed(self, at: float, kind: str, request: Request, digest: bytes, error: ModelError) -> CallRecord:
        settings, blanks, messages = self._asked(request)
        return CallRecord(
            at,
            kind,
            self._model,
            digest,
            request.samples[0],
            request.retry,
            request.about,
            settings,
            blanks,
            messages,
            error_kind=type(error).__name__,
            error=redact(str(error))[:_LONGEST],
            attempts=error.attempts,
            charged=error.paid and not self.free,
        )


def _messages(messages: Sequence[Message]) -> Text:
    return pack(_encode([[message.role, message.content] for message in messages]))


def _logprobs(reply: Reply) -> Text:
    return pack(_encode([[t.token, t.logprob, t.top] for t in reply.logprobs]))
