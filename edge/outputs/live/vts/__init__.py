"""VTube Studio's public interface: JSON over a WebSocket, with a permission that its user gives once."""
