-- Wakes those who wait for a job or group that is deleted: they follow this stream beside the log.

-- Notes the uid of its record; a group's follows a `g`.
local function note_deletion(deletions, uid)
  redis.call('XADD', deletions, 'MAXLEN', '~', 1000, '*', 'uid', uid)
  redis.call('PEXPIRE', deletions, 120000) -- twice as long as anybody waits
end
