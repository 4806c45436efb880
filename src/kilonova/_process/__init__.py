"""Supervised Python child processes that answer one message at a time.

Decoders and models run in such children: a crash, a hang or a memory leak there costs one answer, not the
server. ``parent.Child`` starts one and talks to it; ``child`` is what runs there; ``pipe`` carries messages.
"""
