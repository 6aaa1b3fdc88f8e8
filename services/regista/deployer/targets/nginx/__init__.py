"""The kind ``nginx``: :mod:`.target` decides, :mod:`.plane` switches, :mod:`.render` writes, :mod:`.process` runs it."""
