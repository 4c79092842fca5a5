"""How a judge is asked and read: one file per protocol, the file name is its id.

A new protocol is one new file with one subclass of `Protocol` (see `_base.py`); nothing else changes.
"""
