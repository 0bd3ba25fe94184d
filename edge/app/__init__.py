"""Composition: from a configuration to a running pipeline. The only room that names concrete classes."""
