"""Reward models that reason before they score."""
