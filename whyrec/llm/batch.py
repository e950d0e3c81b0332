"""OpenAI's Batch files: questions written as JSONL, and answers read into the call cache.

A line of questions is one sample of one request, named by its key in the cache; so what comes back needs nothing but
its name to be found again by the run that lacks it. Copies of what was written lie in `$WHYREC_HOME/batches`, against
which answers are held when they are read: an answer to what nobody asked, a failure, one cut by length and one that is
not of the shape asked for are told and not kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whyrec.errors import UsageError
from whyrec.llm.model import ModelError, Refused, Reply, Request
from whyrec.llm.providers import openai_fields as fields
from whyrec.llm.providers.openai import OpenAICompatible
from whyrec.llm.providers.openai_wire import RequestWriter, Told, error_of, read_chat
from whyrec.llm.wrappers.cache_file import FILE_NAME, CacheFile
from whyrec.llm.wrappers.cached import Cached, stored_text
from whyrec.llm.wrappers.wrapper import Wrapper
from whyrec.redaction import cut, redact
from whyrec.sqlite import make_folder

MOST = 50_000  # lines that OpenAI takes in one file
_PREFIX = "whyrec-"


class Unanswered(ModelError):
    """Written down to be asked later."""


@dataclass(frozen=True)
class Question:
    """One line: its key in the cache, the model's whole name, and the body to be sent."""

    key: str
    model: str
    body: Mapping[str, Any]

    def line(self) -> str:
        """As the Batch API wants it."""
        return json.dumps(
            {
                "custom_id": f"{_PREFIX}{self.key}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": self.body,
            },
            ensure_ascii=False,
        )


class Collecting(Wrapper):
    """Writes down every sample it is asked for and answers none.

    Args:
        inner: the model, which is not asked. `cached` has to be set before the first question.
    """

    def __init__(self, inner: OpenAICompatible) -> None:
        super().__init__(inner)
        self._writer = RequestWriter(inner.address, inner.can)
        self.cached: Cached | None = None
        self.questions: dict[str, Question] = {}

    async def complete(self, request: Request) -> list[Reply]:
        """Write every sample down.

        Raises:
            Unanswered: always.
            Refused: the answer is to go on with a given beginning, which batches cannot.
        """
        assert self.cached is not None
        if request.prefix:
            raise Refused(f"{self.name} goes on with the beginning of an answer, which a Batch file cannot ask for.")
        for sample in request.samples:
            key = self.cached.key_of(request, sample).hex()
            body = json.loads(self._writer.chat(request, n=1, first=sample))
            self.questions[key] = Question(key, self.name, body)
        raise Unanswered(f"{self.name} is to be asked by a Batch file.")

    async def _score(self, request: Request, continuations: Any) -> Any:
        raise Refused("A Batch file cannot ask for the likelihood of given texts.")


def collecting(model: Any, home: Path) -> tuple[Collecting, Cached]:
    """The model that writes down, and it behind the call cache, so that it is only asked what is not there.

    Raises:
        UsageError: the model does not speak OpenAI's protocol.
    """
    if not isinstance(model, OpenAICompatible):
        raise UsageError(f"{model.name} knows no Batch files; name a model such as openai:gpt-4o-mini.")
    inner = Collecting(model)
    inner.cached = Cached(inner, CacheFile(home / FILE_NAME))
    return inner, inner.cached


def write(questions: Iterable[Question], path: Path, home: Path) -> int:
    """Write questions and keep a copy under `home/batches`; returns how many.

    Raises:
        UsageError: the file is there already.
    """
    if path.exists():
        raise UsageError(f"{path} is there already. Name another file with --out; a batch is written once.")
    asked = list(questions)
    path.write_text("".join(f"{one.line()}\n" for one in asked), encoding="utf-8")
    folder = home / "batches"
    make_folder(folder)
    kept = "".join(json.dumps({"key": one.key, "model": redact(one.model), "body": one.body}) + "\n" for one in asked)
    (folder / f"{len(list(folder.glob('*.jsonl'))) + 1}.jsonl").write_text(cut(kept), encoding="utf-8")
    return len(asked)


@dataclass
class Imported:
    """What came of reading answers: how many are kept, and of the others what is wrong, by name."""

    kept: int = 0
    wrong: list[tuple[str, str]] = field(default_factory=list)


def read(path: Path, home: Path) -> Imported:
    """Read a file of answers (or of errors) into the call cache.

    Raises:
        UsageError: there is no such file, or it is empty or no text.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}. Download the batch's output (and its error file) first.")
    asked = {one.key: one for one in _written(home)}
    if not (lines := _lines(path)):
        raise UsageError(f"{path} holds no line. The output of a batch is there once it is done: download it again.")
    found = Imported()
    cache = CacheFile(home / FILE_NAME)
    try:
        for number, line in enumerate(lines, 1):
            name, answer = _answer(line, asked)
            if isinstance(answer, str):
                found.wrong.append((name or f"line {number}", answer))
                continue
            text = stored_text(answer)
            if text is None:
                found.wrong.append((name, f"it was cut off or withheld (finish_reason {answer.finish_reason})"))
                continue
            question = asked[name.removeprefix(_PREFIX)]
            cache.put(bytes.fromhex(question.key), question.model, text)
            found.kept += 1
    finally:
        cache.close()
    return found


def _lines(path: Path) -> list[str]:
    """Lines that end where JSON Lines end them: an answer may hold other line ends, such as U+2028."""
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a Batch file: it is no UTF-8 text ({error.reason}).") from None


def _written(home: Path) -> Iterator[Question]:
    for file in sorted((home / "batches").glob("*.jsonl")):
        for number, line in enumerate(_lines(file), 1):
            try:
                told = json.loads(line)
                one = Question(str(told["key"]), str(told["model"]), dict(told["body"]))
                bytes.fromhex(one.key)
            except (ValueError, TypeError, LookupError, RecursionError):
                raise UsageError(
                    f"Line {number} of {file} is not a question that was written here: delete the line. Its answer, if "
                    f"there is one, is then asked for again."
                ) from None
            yield one


def _answer(line: str, asked: Mapping[str, Question]) -> tuple[str, Reply | str]:
    """(custom id, the reply or what is wrong with it)."""
    try:
        told = fields.mapping(fields.parse(line.encode("utf-8", "surrogatepass")))
    except ValueError:
        told = {}
    name, error = fields.text(told.get("custom_id")), told.get("error")
    if not name:
        return "", "it is not a line of a Batch file"
    response = told.get("response") or {}
    body = (response.get("body") or {}) if isinstance(response, dict) else response
    if not isinstance(response, dict) or not isinstance(body, dict):
        return name, f"it failed: {fields.shown(body)}"
    question = asked.get(name.removeprefix(_PREFIX))
    if question is None:
        return name, "nobody here asked this (is it another home's batch?)"
    if error or response.get("status_code") != 200:
        said = error or error_of(body) or body
        return name, f"it failed: {fields.shown(said.get('message', said) if isinstance(said, dict) else said)}"
    try:
        (reply,) = read_chat(body, Request(()), (0,), Told(question.model, 0.0, None))
    except ModelError as bad:
        return name, str(bad)
    return name, reply if _fits(reply.text, question.body) else "it is not of the JSON schema asked for"


def _fits(text: str, body: Mapping[str, Any]) -> bool:
    """Whether an answer has the fields its schema requires; what they hold is the agent's to judge."""
    shape = fields.mapping(fields.mapping(body.get("response_format")).get("json_schema"))
    if not shape:
        return True
    try:
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    required = fields.entries(fields.mapping(shape.get("schema")).get("required"))
    return isinstance(found, dict) and all(name in found for name in map(str, required))
