"""What speaks OSC: the VMC protocol, VRCFaceTracking, and every value as a message."""
