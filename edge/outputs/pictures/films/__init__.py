"""An MP4 file while it is written: its encoder, its place on the disk, its index."""
