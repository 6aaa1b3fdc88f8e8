"""The HTTP shell around the routes: problems, limits, authentication, metrics, the event stream, administration.

From outside in: :mod:`.observation` counts and times, :mod:`.problems` turns every error into problem+json,
:mod:`.limits` bounds what may be sent, :mod:`.authentication` says who asks; then come the routes. All layers are plain
ASGI, and none reads a body.
"""
