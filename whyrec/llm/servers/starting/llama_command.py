"""The command that serves a GGUF file with llama.cpp so that whyrec's questions are answered as they are meant.

llama.cpp comes as a program (`llama-server`) or within the wheel `xllamacpp`, which has no command of its own;
`llama_server.py` is that command, with the same flags. Every flag is there for a reason (docs/providers.md): its own
sampling defaults act wherever a request says nothing, a context is divided among its slots, and one that is shifted
loses the head of a prompt without a word.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from whyrec.errors import UsageError

PROGRAM, WHEEL = "llama-server", "xllamacpp"
CONTEXT, SLOTS = 8_192, 4  # tokens of one question and its answer; questions answered at the same time
FLAGS = {"--reasoning-format": "deepseek", "--top-k": "0", "--top-p": "1", "--min-p": "0"}
SWITCHES = ("--jinja", "--no-context-shift", "--no-webui")


def command(
    file: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    context: int = CONTEXT,
    slots: int = SLOTS,
    more: Sequence[str] = (),
) -> list[str]:
    """`llama-server --model FILE` and its flags.

    Args:
        file: a GGUF file; its name without the ending is what the model is called.
        host, port: where to listen.
        context: tokens of one question and its answer; the server is told the sum over its slots.
        slots: how many questions it answers at the same time, and how many samples one request may ask for.
        more: further flags of llama-server, which win.
    """
    made = [PROGRAM, "--model", file, "--alias", called(file), "--host", host, "--port", str(port)]
    made += ["--ctx-size", str(context * slots), "--parallel", str(slots), *SWITCHES]
    for flag, value in FLAGS.items():
        made += [flag, value]
    return [*made, *more]


def called(file: str) -> str:
    """What a served file's model is called."""
    return Path(file).stem


def by_wheel(made: Sequence[str]) -> list[str]:
    """The same command by the wheel of this environment."""
    return [sys.executable, "-P", str(Path(__file__).with_name("llama_server.py")), *made[1:]]


def runnable(made: Sequence[str], *, by: str = "") -> list[str]:
    """The command as this environment can run it: by the program if it is there, else by the wheel.

    Args:
        made: as `command` makes it.
        by: `PROGRAM` or `WHEEL` to have that one; "" for either.

    Raises:
        UsageError: the file is not there, or llama.cpp is not.
    """
    file = made[made.index("--model") + 1]
    if not Path(file).is_file():
        raise UsageError(f"There is no file {file}. llama.cpp serves GGUF files; a folder of weights is vLLM's.")
    if by != WHEEL and shutil.which(PROGRAM):
        return list(made)
    if by != PROGRAM and importlib.util.find_spec(WHEEL) is not None:
        return by_wheel(made)
    raise UsageError(
        'llama.cpp is not installed here: pip install "whyrec[llamacpp]" (prebuilt, for CPUs), or put llama-server on '
        "the PATH. --print prints the command for another machine."
    )
