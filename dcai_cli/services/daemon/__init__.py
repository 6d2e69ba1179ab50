"""The daemon: its loop and its cycles, what it leaves on disk, whom it tells, and how a system starts it."""
