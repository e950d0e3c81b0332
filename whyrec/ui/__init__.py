"""The local page: runs, calls, prompts, results and vectors in a browser; `whyrec ui` opens it.

Server-rendered, one style sheet, one script, nothing from outside. Pages read what the command line reads and write
nothing but replays. `safety.py` says who may ask; `site.py` holds what a page needs; every other module is one page.
"""
