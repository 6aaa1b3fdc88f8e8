"""Projections: fold the log into what people ask for, and answer their questions."""
