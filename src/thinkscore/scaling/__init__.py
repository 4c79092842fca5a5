"""What decides what to ask and when to stop: one file per strategy, the file name is its id.

A new strategy is one new file with one subclass of `Strategy` (see `_base.py`); nothing else changes.
"""
