"""Exports of a face: meshes and pictures of its surface, on the canonical face's triangles, and its 68 points."""
