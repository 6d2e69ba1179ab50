"""The revisions, oldest first; they never import the tables of today."""
