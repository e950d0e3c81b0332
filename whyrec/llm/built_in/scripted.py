"""A model that says what it was told to say: for tests, demonstrations and reproducing a conversation.

`Scripted([...])` gives the answers in turn (one per sample), `Scripted(function)` asks a function of the request and
the sample index, and `scripted:FILE` reads JSON: a list of answers (texts, or objects that are sent as JSON), or of
rules `{"when": "text in the last message", "answer": ...}` of which the first that fits answers, however often. Every
request is kept in `seen`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from whyrec.errors import UsageError
from whyrec.llm.model import Refused, Reply, Request, Usage
from whyrec.llm.reasoning import split_reasoning
from whyrec.settings import Settings

if TYPE_CHECKING:
    from whyrec.data.generated.world import World

Answer: TypeAlias = str | dict[str, Any] | list[Any]
Script: TypeAlias = Sequence[Answer] | Callable[[Request, int], Answer]


class Scripted:
    """Answers from a script.

    Args:
        script: answers in turn, or a function of the request and the sample index.
        name: the string that opens it again, if there is one.
    """

    def __init__(self, script: Script, *, name: str = "scripted:", revision: str = "") -> None:
        self.name, self.revision = name, revision or ("" if callable(script) else _digest(script))
        self.seen: list[Request] = []
        self._script = script
        self._next = 0

    async def complete(self, request: Request) -> list[Reply]:
        """The script's answers to the samples asked for.

        Raises:
            Refused: the script has ended, or none of its rules fits.
        """
        self.seen.append(request)
        return [self._reply(request, sample) for sample in request.samples]

    def _reply(self, request: Request, sample: int) -> Reply:
        answer = self._script(request, sample) if callable(self._script) else self._turn()
        said = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        reasoning, text = split_reasoning(said, prefix=request.prefix)
        prompt = sum(len(message.content.split()) for message in request.messages)
        first = sample == request.samples[0]
        return Reply(
            text=text,
            reasoning=reasoning,
            sample=sample,
            usage=Usage(prompt if first else 0, len(said.split())),
            model=self.name,
        )

    def _turn(self) -> Answer:
        assert not callable(self._script)
        if self._next >= len(self._script):
            raise Refused(
                f"The script of {self.name} has ended after {len(self._script)} answers: add answers, or give "
                f'rules ({{"when": ..., "answer": ...}}), which answer any number of times.'
            )
        self._next += 1
        return self._script[self._next - 1]

    async def close(self) -> None:
        """Nothing to give back."""


def rules(entries: Sequence[dict[str, Any]], name: str) -> Callable[[Request, int], Answer]:
    """A script that answers by the first rule whose `when` occurs in the last message ("" fits all)."""

    def answer(request: Request, sample: int) -> Answer:
        last = request.messages[-1].content
        for entry in entries:
            if entry.get("when", "") in last:
                found: Answer = entry["answer"]
                return found
        raise Refused(f"No rule of {name} fits the message {last[:60]!r}; add one, or a last one without 'when'.")

    return answer


def open_scripted(rest: str, *, settings: Settings, world: World | None) -> Scripted:
    """`scripted:FILE`.

    Raises:
        UsageError: the file is missing or holds no script.
    """
    path = Path(rest)
    form = 'a JSON list of answers, or of rules {"when": "text", "answer": ...}'
    if not rest or not _is_file(path):
        raise UsageError(f"There is no script at {rest!r}: scripted:FILE names a file with {form}.")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON ({error}); a script is {form}.") from None
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{path} holds no answers; a script is {form}.")
    name = f"scripted:{rest}"
    ruled = [isinstance(e, dict) and "answer" in e and e.keys() <= {"when", "answer"} for e in entries]
    if any(ruled) and not all(ruled):
        raise UsageError(f"{path} mixes rules and answers; a script is {form}.")
    wrong = next((n for n, e in enumerate(entries, 1) if all(ruled) and not isinstance(e.get("when", ""), str)), 0)
    if wrong:
        raise UsageError(f"Rule {wrong} of {path} has a 'when' that is no text; a script is {form}.")
    return Scripted(rules(entries, name) if all(ruled) else entries, name=name, revision=_digest(entries))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no file has such a name
        return False


def _digest(script: Sequence[Answer]) -> str:
    """Scripts of one name differ in what they say; a cache has to know."""
    return hashlib.sha256(json.dumps(script).encode()).hexdigest()[:16]
