"""What needs prompts or graphs to look at a run: the messages as sent, a call sent again, states recomputed.

The log itself is read by `whyrec.trace`; this floor is under the command line and the local page.
"""
