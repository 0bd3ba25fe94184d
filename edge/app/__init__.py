"""Composition: from a configuration to a running pipeline. The room that names the concrete stages."""
