"""The seam to language models: a request, a reply, and two Protocols of one coroutine each.

Everything else about models (servers, retries, limits, caches, budgets, traces) is an implementation of
`LanguageModel` or a wrapper around one. `Request.about` says where a call comes from; it goes into the trace and
never into a cache key or onto the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

Role: TypeAlias = Literal["system", "user", "assistant"]
FinishReason: TypeAlias = Literal["stop", "length", "filtered", "error"]
Thinking: TypeAlias = Literal["off", "on", "either"]
CacheState: TypeAlias = Literal["miss", "hit", "joined"]  # joined: shared the flight of an identical call
Wrong: TypeAlias = Callable[["Reply"], "Unusable | None"]

REASONS: Mapping[str, str] = {
    "placeholder": "copies the placeholders of its instructions",
    "example": "repeats the example of its instructions",
    "too_short": "says far less than was asked for",
    "no_sentence": "writes no sentence where sentences were asked for",
    "loops": "says the same over and over",
    "repeats": "repeats one entry of a list in others",
    "masked_away": "says nothing beside the name that has to be hidden",
    "wrong_ids": "answers for other ids than it was asked about",
    "incomplete": "leaves out parts of the answer",
    "unreadable": "does not give the shape asked for",
    "cut": "does not come to an end within its limit of tokens",
    "withheld": "is silenced by its server's content filter",
}
"""Why an answer can be of no use, as it is kept with a call -> what a model does that gives such answers."""
USABLE = "usable"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw an answer. `seed` None lets the server choose; a sample's own seed is `seed + sample index`.

    `thinking` says whether a model that can be told should think before it answers; `thinking_tokens` is what a thought
    may take beside `max_tokens`, which is for the answer alone. Both say nothing to models that do not think.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int | None = None
    thinking: Thinking = "either"
    thinking_tokens: int = 0


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """What shape the answer must have.

    Attributes:
        kind: "text" (anything), "json" (an object of `schema`), "tags" (one `<field>...</field>` per property of
            `schema`), "headers" (one section per property of `schema`).
        name: name of the answer type, for servers that want one.
        schema: canonical JSON text of the JSON schema, computed once per answer type; "" for text.
    """

    kind: Literal["text", "json", "tags", "headers"] = "text"
    name: str = ""
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why an answer is of no use to whoever asked.

    Attributes:
        reason: one of `REASONS`.
        said: a sentence, which can be shown to the model.
        final: whether asking again cannot help.
    """

    reason: str
    said: str
    final: bool = False

    def __post_init__(self) -> None:
        """A reason that nobody knows could not be counted."""
        assert self.reason in REASONS, self.reason


@dataclass(frozen=True, slots=True)
class About:
    """Where a call comes from: recorded with it, never part of a cache key.

    Attributes:
        run, graph, node, agent: who asks.
        example, user, item: for whom (keys of the data set; "" where it does not apply).
        split: the split whose history was shown ("" where it does not apply).
        prompt, prompt_digest, prompt_text: the prompt's name, version and full source text.
        blanks: the values rendered into it (JSON-able). With them and the prompt's text the messages can be
            rendered again, so a trace stores these instead of the messages.
        rendered: how many of the request's messages the prompt rendered; later ones belong to a repair.
        turn: 0 for the first ask, 1.. for repairs.
        repairs: the last turn there may be.
        wrong: tells why whoever asks cannot use an answer, None where it can; None itself where nobody judges answers.
    """

    run: str = ""
    graph: str = ""
    node: str = ""
    agent: str = ""
    example: str = ""
    user: str = ""
    item: str = ""
    split: str = ""
    prompt: str = ""
    prompt_digest: str = ""
    prompt_text: str = ""
    blanks: Mapping[str, Any] | None = None
    rendered: int = 0
    turn: int = 0
    repairs: int = 0
    wrong: Wrong | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model.

    Attributes:
        messages: the conversation.
        sampling: how to draw.
        samples: the sample indices wanted; several are one request to servers that know `n`. A cache passes on only
            the indices it lacks.
        format: the shape asked for.
        prefix: text the assistant's answer must continue ("" for none).
        top_logprobs: how many log-probabilities per generated token to return (0: none).
        retry: retry generation; part of the cache key, raised by `--retry-failed` so that a failed example is asked
            anew.
        about: see `About`.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    samples: tuple[int, ...] = (0,)
    format: AnswerFormat = field(default_factory=AnswerFormat)
    prefix: str = ""
    top_logprobs: int = 0
    retry: int = 0
    about: About = field(default_factory=About)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one reply. Prompt tokens of a request with n samples are counted on its first reply only.

    None: nobody knows, because the server did not count or its count cannot be true. That is not zero.
    """

    prompt: int | None = 0
    completion: int | None = 0
    cached: int | None = 0

    @property
    def known(self) -> bool:
        """Whether both sides were counted."""
        return self.prompt is not None and self.completion is not None


UNKNOWN = Usage(None, None, None)
MOST_TOKENS = 10**9  # of one reply; more is no count


def read_count(value: object) -> int | None:
    """A server's count of tokens; None where it is none: absent, no whole number, negative, absurdly large."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TOKENS:
        return None
    return value


@dataclass(frozen=True, slots=True)
class Made:
    """What a cached answer took when it was first asked for: tokens, US dollars and seconds, None where unknown."""

    usage: Usage = UNKNOWN
    cost: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A generated token, its log-probability (natural log) and the likeliest alternatives."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    Attributes:
        text: the answer without its reasoning (split at the last `</think>`).
        reasoning: the reasoning text, if the model gave one.
        sample: the sample index it answers.
        usage, finish_reason, logprobs: as the server said.
        model: the model that answered, as the server names it.
        attempts: how often the request was sent (1 without a retry; 0 from a cache).
        queue_s, service_s: seconds waiting for the limiter and on the wire.
        cost: US dollars, 0.0 where free, None where the price is not known.
        cache: whether the answer came from the cache.
        made: what it took when it was first asked for, where it takes nothing now because the cache had it.
    """

    text: str
    reasoning: str = ""
    sample: int = 0
    usage: Usage = field(default_factory=Usage)
    finish_reason: FinishReason = "stop"
    logprobs: tuple[TokenLogprob, ...] = ()
    model: str = ""
    attempts: int = 1
    queue_s: float = 0.0
    service_s: float = 0.0
    cost: float | None = 0.0
    cache: CacheState = "miss"
    made: Made | None = None

    @property
    def length(self) -> int | None:
        """Tokens of reasoning and answer, the same whether it was asked for now or came from the cache."""
        return (self.made.usage if self.made else self.usage).completion


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Log-likelihood of one given continuation: one natural log-probability per token of it.

    `cache` says whether it came from the cache.
    """

    continuation: str
    logprobs: tuple[float, ...]
    cache: CacheState = field(default="miss", compare=False)

    @property
    def total(self) -> float:
        """Sum over tokens."""
        return sum(self.logprobs)

    @property
    def mean(self) -> float:
        """Length-normalised log-likelihood; 0.0 for an empty continuation."""
        return self.total / len(self.logprobs) if self.logprobs else 0.0


@runtime_checkable
class LanguageModel(Protocol):
    """Answers requests. One reply per wanted sample index, in that order.

    `name` is the string that opens it again; `revision` changes when its answers may ("" where unknown).

    Raises:
        ModelError: and its kinds below; never returns fewer replies than asked.
    """

    name: str
    revision: str

    async def complete(self, request: Request) -> list[Reply]:
        """Answer every sample index of the request."""
        ...

    async def close(self) -> None:
        """Give back connections and files. Idempotent."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """Scores given continuations of a conversation (option labels, rationales)."""

    name: str
    revision: str

    async def score(self, request: Request, continuations: Sequence[str]) -> list[TokenScores]:
        """Log-likelihood of each continuation as the assistant's next text, in the given order."""
        ...


class ModelError(Exception):
    """A model did not answer. The message is a sentence with the model's name and what to do.

    `attempts` says how often the request was sent before giving up; `paid` whether its last send may have been
    answered, and so charged, all the same.
    """

    attempts: int = 1
    paid: bool = False


class Overloaded(ModelError):
    """Status 429 or a full queue. `retry_after` is the server's wish in seconds, None if it named none."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ServerFault(ModelError):
    """Status 5xx, or an answer that is not what the protocol says."""


class Malformed(ServerFault):
    """Status 200, and a body that cannot be read as an answer.

    `lasting` says that its shape is wrong, so that the same question would bring the same and is not sent again; a
    body that is no JSON (cut on its way, a proxy's page) may be another one next time.
    """

    paid = True

    def __init__(self, message: str, *, lasting: bool = True) -> None:
        super().__init__(message)
        self.lasting = lasting


class TimedOut(ModelError):
    """No answer in the time allowed."""

    paid = True


class Disconnected(ModelError):
    """The connection was refused, reset or dropped."""

    paid = True


class Refused(ModelError):
    """Status 4xx other than 429: asking again cannot help. Never retried."""


class Halted(ModelError):
    """The request was not sent, because the run is to stop: what is left of it is left, and nothing has failed."""


class BudgetSpent(Halted):
    """Sending this request could pass the limit on calls, tokens or money. The runner stops cleanly on it."""


class Unfit(Halted):
    """Most answers so far were of no use, so no more are asked for. The runner stops cleanly on it."""


TRANSIENT: tuple[type[ModelError], ...] = (Overloaded, ServerFault, TimedOut, Disconnected)
