"""Prediction markets before they are made: what becomes of a bounty, by many draws of data and orders.

A scenario names data, what a provider offers, and participants who help or harm. Every draw gives them other
rows, and the replica of the contracts scores and settles them (`play`); or the first one is played on a chain
by what the commands use, and compared to the wei (`onchain`).
"""
