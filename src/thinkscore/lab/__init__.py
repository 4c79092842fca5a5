"""A small verifiable world: English cases with true scores, and the reasoning that leads to them.

Three families (`reasoning`, `chat`, `safety`), one file each. A family draws facts, tells them in English, reads
its own English back, scores replies from 1 to 10 and writes the neutral trace of a faithful judge. `world` makes
cases of them, `oracle` judges any lab case from its text alone.
"""
