"""llama.cpp's server out of the wheel `xllamacpp`, with the flags of `llama-server` that whyrec uses.

    python llama_server.py --model FILE.gguf --ctx-size 32768 --parallel 4 ...

The wheel brings llama.cpp as a library without its command, so this file is that command. It knows nothing of whyrec
and is run by its path, so any environment that has xllamacpp will do. It ends with Ctrl-C or SIGTERM.

Unusual: every sampler that a request does not name (top_k, top_p, min_p) is switched off, because llama.cpp's own
defaults would act wherever a question says nothing; nobody but pages of this machine may ask from a browser; and where
the variable LLAMA_API_KEY is set, that key is asked for, as llama-server does.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal comes. Returns the exit code: 0 at a signal, 2 where the server could not start."""
    given = parser().parse_args(arguments)
    try:
        import xllamacpp
    except ImportError:
        print("xllamacpp is not installed in this environment: pip install xllamacpp", file=sys.stderr)
        return 2
    if not Path(given.model).is_file():
        print(f"There is no file {given.model}.", file=sys.stderr)
        return 2
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        server = xllamacpp.Server(settings(xllamacpp, given))
    except (RuntimeError, ValueError) as error:
        print(f"llama.cpp did not start with {given.model} on port {given.port}: {error}", file=sys.stderr)
        return 2
    print(f"llama.cpp serves {given.alias or Path(given.model).stem} at {server.listening_address}/v1", flush=True)
    while not ended.wait(0.5):  # a signal's handler runs between two waits
        pass
    return 0


def parser() -> argparse.ArgumentParser:
    """Flags as `llama-server` calls them."""
    made = argparse.ArgumentParser(description="llama.cpp's server, out of the wheel xllamacpp", allow_abbrev=False)
    made.add_argument("--model", "-m", required=True, help="a GGUF file")
    made.add_argument("--alias", default="", help="what the model is called; its file's name by default")
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=int, default=8080)
    made.add_argument("--ctx-size", "-c", type=int, default=32_768, help="tokens of all slots together")
    made.add_argument("--parallel", "-np", type=int, default=4, help="slots: questions answered at the same time")
    made.add_argument("--threads", "-t", type=int, default=-1, help="-1: as many as there are cores")
    made.add_argument("--cache-ram", type=int, default=1_024, help="MiB for prompts that left their slot")
    made.add_argument("--reasoning-format", choices=("none", "auto", "deepseek"), default="deepseek")
    made.add_argument("--chat-template", default="", help="a template in place of the file's own")
    made.add_argument("--chat-template-kwargs", default="{}", help='JSON, such as {"enable_thinking":false}')
    made.add_argument("--n-gpu-layers", "-ngl", type=int, default=-1, help="-1: as many as there is room for")
    made.add_argument("--top-k", type=int, default=0)
    made.add_argument("--top-p", type=float, default=1.0)
    made.add_argument("--min-p", type=float, default=0.0)
    made.add_argument("--embeddings", action="store_true", help="serve vectors instead of answers")
    made.add_argument("--verbosity", type=int, default=2, help="2: warnings; 3: every request")
    for always in ("--jinja", "--no-context-shift", "--no-webui", "--cont-batching"):
        made.add_argument(always, action="store_true", help="always so here")
    return made


def settings(xllamacpp: Any, given: argparse.Namespace) -> Any:
    """`CommonParams` of the library.

    Args:
        xllamacpp: the module.
        given: the flags.

    Raises:
        ValueError: a flag holds what the library does not take.
    """
    made = xllamacpp.CommonParams()
    made.model.path = given.model
    made.model_alias = {given.alias or Path(given.model).stem}
    made.hostnames, made.port = [given.host], given.port
    made.cors_origins, made.ui = "localhost", False
    if key := os.environ.get("LLAMA_API_KEY", "").strip():
        made.api_keys = [key]
    made.n_ctx, made.n_parallel, made.n_gpu_layers = given.ctx_size, given.parallel, given.n_gpu_layers
    made.use_jinja, made.ctx_shift, made.cont_batching, made.cache_prompt = True, False, True, True
    made.cache_ram_mib, made.embedding, made.verbosity = given.cache_ram, given.embeddings, given.verbosity
    made.reasoning_format = getattr(
        xllamacpp.common_reasoning_format, f"COMMON_REASONING_FORMAT_{given.reasoning_format.upper()}"
    )
    if given.chat_template:
        made.chat_template = given.chat_template
    made.default_template_kwargs = {k: json.dumps(v) for k, v in json.loads(given.chat_template_kwargs).items()}
    made.sampling.top_k, made.sampling.top_p, made.sampling.min_p = given.top_k, given.top_p, given.min_p
    if given.threads > 0:
        made.cpuparams.n_threads = made.cpuparams_batch.n_threads = given.threads
    return made


if __name__ == "__main__":
    raise SystemExit(main())
