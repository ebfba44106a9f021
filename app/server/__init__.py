"""What is specific to uvicorn and h11: connection limits and graceful shutdown."""
