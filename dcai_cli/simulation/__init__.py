"""What becomes of a model and of its contributors: agents with strategies, under the contracts' own rules.

A scenario names data, a model, its terms, and agents with balances. Its time is simulated: an event queue
gives the agents their turns. Every action is one of the contracts', and is either reckoned by the replicas
(`rules`), or sent as a transaction and compared with what the replicas say of it (`onchain`).
"""
