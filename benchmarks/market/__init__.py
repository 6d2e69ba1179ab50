"""What the rules of markets are chosen by, measured on the replica of the contracts."""
