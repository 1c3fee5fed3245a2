"""What screens need done: files, processes and networks, beside the event loop."""
