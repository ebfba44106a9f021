"""The playground: a page that calls this service as any client does, and shows the calls."""
