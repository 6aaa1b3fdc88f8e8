"""The HTTP API in types: what requests carry and what answers hold, for the server and the clients alike."""
