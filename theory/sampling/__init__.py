"""Simulation: draws of kept rows, fits to them, and test errors."""
