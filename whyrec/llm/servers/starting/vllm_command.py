"""The command that serves a model with vLLM so that whyrec's questions are answered as they are meant.

Every flag is there because something was seen without it (docs/providers.md): endless white space in JSON, log-
probabilities before masking, a model's own sampling defaults in place of ours.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from whyrec.errors import UsageError

FLAGS = {
    "--structured-outputs-config": '{"backend":"xgrammar","disable_any_whitespace":true}',
    "--logprobs-mode": "processed_logprobs",
    "--max-logprobs": "20",
    "--generation-config": "vllm",
}


def command(
    model: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    adapters: Sequence[str] = (),
    cpu: bool = False,
    more: Sequence[str] = (),
) -> list[str]:
    """`vllm serve MODEL` and its flags.

    Args:
        model: a hub name or a folder.
        host, port: where to listen.
        adapters: LoRA adapters as NAME=FOLDER; each is a model of its own, `vllm:NAME`.
        cpu: for vLLM's CPU build, which dies of seeded requests read in pieces.
        more: further flags of vLLM, which win.

    Raises:
        UsageError: an adapter is not of the form NAME=FOLDER, or its folder is not there.
    """
    made = ["vllm", "serve", model, "--host", host, "--port", str(port), "--enable-prefix-caching"]
    for flag, value in FLAGS.items():
        made += [flag, value]
    if cpu:
        made += ["--no-enable-chunked-prefill"]
    if adapters:
        made += ["--enable-lora", "--lora-modules", *map(_adapter, adapters)]
    return [*made, *more]


def _adapter(text: str) -> str:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise UsageError(f"--lora {text!r} is not of the form NAME=FOLDER.")
    if folder.startswith(("/", ".", "~")) and not Path(folder).expanduser().is_dir():
        raise UsageError(f"There is no folder {folder} for the LoRA adapter {name}.")
    return text


def runnable(made: Sequence[str]) -> list[str]:
    """The command as this environment can run it.

    Raises:
        UsageError: vLLM is not installed here.
    """
    if shutil.which(made[0]):
        return list(made)
    if importlib.util.find_spec("vllm") is not None:  # the CPU build's `vllm` asks for a package of another name
        return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", *made[2:]]
    raise UsageError(
        'vLLM is not installed here: pip install "whyrec[vllm]" in an environment of its own, on the machine with the '
        "GPU. --print prints the command for there."
    )
