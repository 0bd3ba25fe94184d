"""What programs and pages connect to: an HTTP and WebSocket server, its clients, and the output ws://."""
