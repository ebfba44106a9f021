"""Where compute runs: devices, threads, sessions. Knows nothing about faces."""
