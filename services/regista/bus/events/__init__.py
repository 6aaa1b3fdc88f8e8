"""The events topic: what a record of it holds, and every way of reading it."""
