"""Published forms of preference rows: one file per form, the file name is its id.

A new form is one new file with one subclass of `Format` (see `_base.py`); nothing else changes.
"""
