"""What generates completions: one file per engine, the file name is the scheme of its URI.

A new engine is one new file with one subclass of `Engine` (see `_base.py`); nothing else changes.
"""
