-- What a commit writes of one job.
-- Uses: prove, args, lane_args, readers

local function read_entry()
  local p = take(2)
  return { line = fields[p + 1], ignored = fields[p + 2] }
end

-- A claim that ends: token as shared/3-asked_polls.lua has it.
local function read_done()
  local p = take(3)
  return { lane = fields[p + 1], item = fields[p + 2], token = fields[p + 3] }
end

local function read_drop()
  local p = take(2)
  return { lane = fields[p + 1], item = fields[p + 2] }
end

-- A CHANGE: the job's record (key, name, the version that was read, when it expires, whether that
-- is another time than before, its bytes if they change), its history, the provider's answer, the
-- keys of its callback targets, where updates of it are held and their lane (index in `lanes`),
-- lines for its history, its EVENTs, ITEMs to enqueue, timers to drop, and claims that end. Keys
-- are indexes in KEYS, bytes in ARGV.
local function read_change()
  local p = take(11)
  return {
    key = fields[p + 1], name = fields[p + 2], version = fields[p + 3], ends = fields[p + 4],
    renew = fields[p + 5], doc = fields[p + 6], history = fields[p + 7], answer = fields[p + 8],
    answer_key = fields[p + 9], held = fields[p + 10], held_lane = fields[p + 11],
    callbacks = list(field), entries = list(read_entry),
    events = list(read_event), items = list(read_item), drops = list(read_drop),
    done = list(read_done),
  }
end

-- What is wrong with the type of one of the keys that a change needs (nil: nothing).
local function wrong_type_in(job, lanes)
  if not next(wrong_types) then return end
  local wrong = wrong_type_at({ job.key, job.history, job.answer_key, job.held })
    or job.held_lane and lanes[job.held_lane].wrong
    or wrong_type_at(job.callbacks) or wrong_type_of(lanes, job.items)
    or wrong_type_of(lanes, job.drops) or wrong_type_of(lanes, job.done)
  for _, e in ipairs(job.events) do
    wrong = wrong or wrong_type_at({ e.key }) or wrong_type_of(lanes, e.items)
  end
  return wrong
end
