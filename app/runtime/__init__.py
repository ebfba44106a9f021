"""Model inference: devices, sessions, batches and worker threads. Independent of face recognition."""
