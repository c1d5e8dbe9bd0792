-- Polls that somebody asked for: a push that a poll must confirm, a caller, a reader of the mirror.
-- Each waits until it is claimed: neither the end of an older claim of the job's poll, nor a later
-- plan, nor the end of the job drops it or puts it off. The older poll may have missed the change.
-- Uses: command_buffer, lanes

local function is_asked_for(lane, item)
  local payload = redis.call('HGET', lane.items, item) or ''
  return payload == 'mirror' or payload:find('^%d+$') ~= nil
end

-- Whether an item at this time (ms) would put off one that was asked for, and waits.
local function puts_off(lane, item, at, now)
  local due = tonumber(redis.call('ZSCORE', lane.due, item))
  return due ~= nil and due <= math.max(at, now) and is_asked_for(lane, item)
end

-- Whether an ITEM is a planned poll that would: its payload is the interval (s) that it was planned
-- with.
local function is_superfluous(lane, i, now)
  return ARGV[i.payload]:find('^-?%d+%.%d+$') ~= nil and puts_off(lane, i.item, i.at, now)
end

-- Drops a timer, unless it is a poll that was asked for, which may have to wait for the provider.
local function drop_timer(lane, item)
  if not is_asked_for(lane, item) then drop(lane, item) end
end

-- Ends a claim by its token (nil: whoever holds it, and even if the item was put again meanwhile).
-- Another claim of the item is of a poll that was asked for since, or ends by itself.
local function end_claim(lane, item, token)
  if not token then return drop(lane, item) end
  if tonumber(redis.call('ZSCORE', lane.claimed, item)) ~= token then return end
  if not redis.call('ZSCORE', lane.due, item) then return drop(lane, item) end
  buffer('ZREM', lane.claimed, item)
  lane.changed = true
end
