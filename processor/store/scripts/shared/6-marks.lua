-- Marks of pushes that were seen. A mark is the uid of the record that the push was about, and says
-- nothing of a later one: a job that was deleted and registered again takes each push once more.

local HEAD = 1023 -- bytes of a record that show its uid, after source, provider and id

local function is_record(head) return head:find('^%d') ~= nil end

-- The uid of the record that a name is or will be, `gone` of a deleted job; 1 if it does not show:
-- the name is an alias, or updates are held under it, or the id is very long.
local function uid_in(head)
  if head == 'gone' then return head end
  return head:match('^new%-(%x+)$') or is_record(head) and head:match(',"uid":"(%x+)"') or '1'
end

-- Marks a push for `keep` (ms); false if it has a mark already. `head`: what its job's name was. If
-- that was no record, every mark counts: what is left of an old job must not make a new one.
local function mark_seen(push, head, keep)
  local seen, name = KEYS[push.seen], KEYS[push.names[1]]
  local uid = uid_in(head ~= '' and head or redis.call('GETRANGE', name, 0, HEAD))
  if redis.call('SET', seen, uid, 'NX', 'PX', keep) then return true end
  local of = redis.call('GET', seen)
  if of == uid or of == '1' or uid == '1' or not is_record(head) then return false end
  redis.call('SET', seen, uid, 'PX', keep)
  return true
end
