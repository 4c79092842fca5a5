"""Probes of a judge: is its score caused by its reasoning and by the answer, and can it be fooled?"""
