"""Keys: encrypted files (Web3 Secret Storage, version 3) in a folder, and passwords from files."""

from dcai_cli.keystore.passwords import others_can_read, password_from_file
from dcai_cli.keystore.store import Keystore, StoredAccount

__all__ = ["Keystore", "StoredAccount", "others_can_read", "password_from_file"]
