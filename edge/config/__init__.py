"""The configuration: what each key allows, its defaults, its file, the immutable tree."""
