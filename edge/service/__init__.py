"""What installs, removes and shows the service of the machine. Its units and its default configuration lie in systemd/."""
