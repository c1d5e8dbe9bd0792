"""/mcp: Ringback for agents, over the Model Context Protocol. In reading order:

messages        JSON-RPC messages of both eras: read, checked, answered
exchange        one request, with what its handler needs
arguments       the arguments of the tools, and their JSON schemas
sentences       what tools say in words
waits           wait_for_job and wait_for_jobs
tools           the tools
tasks           a wait answers with a task at once, and is asked about later
resources       jobs and groups by URI
message_stream  a response with several messages
listen          changes of resources and ends of tasks, as they happen
methods         the methods of both eras
endpoint        POST /mcp
"""
