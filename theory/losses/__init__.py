"""Losses other than squared, and the fixed point that the exact error of any convex loss is."""
