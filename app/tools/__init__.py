"""Offline use cases of the command line; nothing on the request path imports them."""
