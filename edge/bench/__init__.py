"""`nanoface bench`: what the pipeline and each network cost, in rounds."""
