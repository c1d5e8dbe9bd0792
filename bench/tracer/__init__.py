"""What a traced process imports at its start, since its folder is on PYTHONPATH.

sitecustomize  counts bytecodes by function
"""
