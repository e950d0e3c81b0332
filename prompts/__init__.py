"""whyrec's prompts: what we say. Text files with front matter, rendered in a sandbox (docs/prompts.md).

`load("cot_rec/summarise_batch").render(history=...)` gives the messages; `names()` lists the prompts.
"""

from prompts.prompt import Prompt, blanks_json, house_names, load, names, own, parse, read_file, render_recorded

__all__ = ["Prompt", "blanks_json", "house_names", "load", "names", "own", "parse", "read_file", "render_recorded"]
