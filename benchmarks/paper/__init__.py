"""The experiments of the published paper on the contracts' own rules, and what attackers earn.

`python -m benchmarks.paper` runs all of them and writes docs/experiments.md, its figures, and
benchmarks/paper.json; with --page only the page is written anew, from the figures of paper.json.
"""
