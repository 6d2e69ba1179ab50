"""The command line: one file per noun, each parses, calls a service and renders its result."""
