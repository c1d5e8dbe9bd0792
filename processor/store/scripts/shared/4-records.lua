-- What stays of deliveries that ended: their records, and the ids of the events that a subscription
-- got on a day, so that a replay skips them.

-- Appends the record of an ended delivery {log (index in KEYS), length (records at most), record
-- (index in ARGV)} to its stream, and notes the stream in `streams`.
local function add_record(streams, d)
  redis.call('XADD', KEYS[d.log], 'MAXLEN', '~', d.length, '*', 'delivery', ARGV[d.record])
  streams[d.log] = true
end

-- Notes in `delivered` that an event was delivered: {today, yesterday, id}, where the days are
-- indexes of their sets in KEYS.
local function note_delivered(delivered, d)
  delivered[d.today] = delivered[d.today] or { yesterday = d.yesterday }
  table.insert(delivered[d.today], d.id)
end

-- Writes what was noted. A day's set that has `most` ids replaces the one of the day before: `most`
-- is more than the log keeps, so that it has none of those events any more.
local function write_delivered(delivered, most)
  for today, ids in pairs(delivered) do
    local day, yesterday = KEYS[today], KEYS[ids.yesterday]
    if redis.call('SCARD', day) >= most then
      redis.call('UNLINK', yesterday)
      redis.call('RENAME', day, yesterday)
    end
    for from = 1, #ids, 1000 do
      redis.call('SADD', day, unpack(ids, from, math.min(from + 999, #ids)))
    end
    redis.call('EXPIRE', day, 691200)
  end
end
