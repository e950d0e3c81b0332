"""Fuzzing: inputs that nobody would write by hand, for every place where something from outside comes in.

A *target* is one small function of one drawn value (`rooms/` has a module per family). It may return, or raise one of
our own errors with a sentence. Whatever else escapes is a fault, and so are more than two CPU seconds or more than a
gigabyte for one input. Targets know nothing of this: `meter` holds them to it, in a process of its own (`worker`), and
`pool` starts such processes, ends those that hang, and adds up what they say.
"""
