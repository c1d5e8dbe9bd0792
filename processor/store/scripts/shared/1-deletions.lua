-- Wakes those who wait for a job or group that is deleted: they follow this stream beside the log.

local DELETIONS_LAST = 120000 -- ms: twice as long as anybody waits, however many they are

-- Notes the uid of its record; a group's follows a `g`.
local function note_deletion(deletions, uid, now)
  redis.call('XADD', deletions, 'MINID', '~', now - DELETIONS_LAST, '*', 'uid', uid)
  redis.call('PEXPIRE', deletions, DELETIONS_LAST)
end
