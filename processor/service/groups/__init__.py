"""Groups of jobs that one callback completes. In reading order:

group_request   the body of POST /v1/groups, parsed and checked
step            changes a group: read, decide, commit; again after a conflict
members         jobs as members of a group; adds one
create          creates a group, and watches its members
close           closes a group, deletes a group
member_ends     what jobs tell their groups, and deadlines of groups: the `?groups` lane of ingest
apply_together  what comes while a group is changed shares its next commit
query           a group by its id
wait            waits for jobs and groups, all or any
wait_task       waits that are asked about later (MCP tasks)
"""
