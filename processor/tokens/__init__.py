"""A source's token where it is renewed while Ringback runs.

token           what can be asked of it, wherever it comes from
run_command     runs a command without a shell: within time and size, or it is killed
printed_token   reads what a command printed: the token, and how long it lasts
command_token   a token from a command, which runs again before the token expires

A token in a file is `SecretFile`, with the other secrets in files.
"""

from processor.tokens.command_token import CommandToken
from processor.tokens.token import RenewedToken

__all__ = ["CommandToken", "RenewedToken"]
