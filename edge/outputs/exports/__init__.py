"""Exports of a face's surface: meshes, and pictures that are made of it. On the canonical face's triangles."""
