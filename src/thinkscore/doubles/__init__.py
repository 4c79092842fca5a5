"""Judges whose nature is known, as engines: for tests, for audits of the audit, and to try things without a model."""
