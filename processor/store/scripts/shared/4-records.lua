-- What stays of deliveries that ended: their records, and the ids of the events that a subscription
-- got on a day, so that a replay skips them.

-- A TARGET is {log (the stream of its records), length (records at most), and of a subscription
-- that got events: today and yesterday (the sets of their ids)}; keys are indexes in KEYS.

-- Notes that a delivery of an event to a target ended; `record` is an index in ARGV.
local function note_end(target, record, id)
  redis.call('XADD', KEYS[target.log], 'MAXLEN', '~', target.length, '*', 'delivery', ARGV[record])
  target.ids = target.ids or {}
  target.ids[#target.ids + 1] = id
end

-- Adds ids to the set of today. One that has `most` of them replaces the one of the day before:
-- `most` is more than the log keeps, so that it has none of those events any more.
local function add_delivered(today, yesterday, ids, most)
  if redis.call('SCARD', today) >= most then
    redis.call('UNLINK', yesterday)
    redis.call('RENAME', today, yesterday)
  end
  for from = 1, #ids, 1000 do
    redis.call('SADD', today, unpack(ids, from, math.min(from + 999, #ids)))
  end
  redis.call('EXPIRE', today, 691200)
end

-- Writes what was noted; records last `keep` seconds from now.
local function write_ends(targets, keep, most)
  for _, t in ipairs(targets) do
    if t.ids then
      redis.call('EXPIRE', KEYS[t.log], keep)
      if t.today then add_delivered(KEYS[t.today], KEYS[t.yesterday], t.ids, most) end
    end
  end
end
