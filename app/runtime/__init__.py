"""Model inference: devices, sessions, batches and worker threads. Knows nothing about faces."""
