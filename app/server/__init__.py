"""uvicorn and h11 as this service runs them: connection limits and graceful shutdown."""
