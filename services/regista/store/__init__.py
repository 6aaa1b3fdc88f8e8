"""The log store: the one place where events come to exist, by conditional append, in one order, for ever."""
