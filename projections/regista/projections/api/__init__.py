"""The query API: every answer is one snapshot of the views, and says which position it reflects."""
