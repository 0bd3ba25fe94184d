"""How the names of pictures and films end, in lower case: what a folder is searched for, and what a wrong wish is told by."""

PICTURES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".jp2", ".j2k", ".ppm", ".pgm",
            ".pbm", ".pnm", ".tga", ".heic", ".heif", ".avif", ".mpo")
FILMS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".gif", ".m4v", ".mpg", ".ts")  # to guess what was meant
