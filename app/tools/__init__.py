"""Offline use cases of the command line; no module on the request path imports them."""
