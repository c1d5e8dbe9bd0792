-- How a claim was settled.
-- Uses: prove, args

-- A SETTLEMENT: lane (index in `lanes`), item, token (nil: whoever holds it), order, and when it is
-- due again (0: now; nil: it has ended). Of one that is due again: payload, whether the attempt
-- failed, its sequence in the order, whether it is due at once if later deliveries wait. Of a
-- delivery that has ended: its event, the target (index in `targets`) that gets the record, the
-- record, the event's id. Keys are indexes in KEYS, bytes in ARGV.
local function read_settlement(lanes, targets)
  local p = take(9)
  local s = {
    lane = lanes[fields[p + 1]], item = fields[p + 2], token = fields[p + 3], order = fields[p + 4],
    at = fields[p + 5],
  }
  if s.at then
    s.payload, s.failed, s.sequence = fields[p + 6], fields[p + 7], fields[p + 8]
    s.may_be_skipped = fields[p + 9]
  else
    s.event, s.target = fields[p + 6], targets[fields[p + 7]]
    s.record, s.id = fields[p + 8], fields[p + 9]
  end
  return s
end

-- What is wrong with the type of one of the keys that it needs (nil: nothing).
local function wrong_type_of_settlement(s)
  local t = s.target or {}
  return s.lane.wrong or wrong_type_at({ s.order, s.event, t.log, t.today, t.yesterday })
end
