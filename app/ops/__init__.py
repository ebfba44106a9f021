"""Operation: deadlines, stage durations, logs, metrics, traces, and settings of the process."""
