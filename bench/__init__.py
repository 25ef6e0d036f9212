"""Measurements. What is claimed in the documentation is printed by something in here."""
