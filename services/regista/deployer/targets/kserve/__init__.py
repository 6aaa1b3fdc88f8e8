"""The kind ``kserve``: :mod:`.plan` decides, :mod:`.cluster` and :mod:`.gitops` carry it out."""
