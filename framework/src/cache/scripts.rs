//! What is done to one key of the second level in one step. Records are described in [`super::record`].

use crate::redis::Script;

/// Leases a key to a loader: gives nothing when it may load, and else what is there. What was written
/// on another server counts as nothing. May be repeated. Arguments: the token, this server's identity, milliseconds.
const LEASE: &str = "
local there = redis.call('GET', KEYS[1])
if there then
  local letter = string.sub(there, 1, 1)
  if (letter == 'l' and string.sub(there, 2) ~= ARGV[1]) or letter == 'w' then return there end
  if (letter == 'v' or letter == 'a') and string.sub(there, 18, 33) == ARGV[2] then return there end
end
redis.call('SET', KEYS[1], 'l' .. ARGV[1], 'PX', ARGV[3])
return false
";

/// Lets one loader refresh a value, which stays: its token and the time from when on it is to be loaded
/// anew are replaced, so that the others take it for fresh meanwhile. Gives 1, or 0 when the record
/// is another one by now. Arguments: the record's head as it was seen, the token, the time.
const REFRESH: &str = "
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
redis.call('SETRANGE', KEYS[1], 1, ARGV[2])
redis.call('SETRANGE', KEYS[1], 44, ARGV[3])
return 1
";

/// Stores what a loader brings: gives 1, or 0 when it does not hold the key any more: its lease ran
/// out, or the row was changed after it had begun. Arguments: the token, the record, milliseconds.
const STORE: &str = "
local there = redis.call('GETRANGE', KEYS[1], 0, 16)
local letter = string.sub(there, 1, 1)
if letter == 'w' or string.sub(there, 2) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
";

/// Gives a lease back, so that somebody else may load. Arguments: the token.
const RELEASE: &str = "
if redis.call('GET', KEYS[1]) == 'l' .. ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
";

/// The blocks of a key that are in force, but for one writer's: those of writers who are not heard of
/// again expire each in its time, however many come after them.
const BLOCKS: &str = "
local there = redis.call('GET', KEYS[1]) or ''
local function other_blocks(token, now)
  local blocks = {}
  for at = 2, string.sub(there, 1, 1) == 'w' and #there or 0, 27 do
    if string.sub(there, at, at + 15) ~= token and string.sub(there, at + 16, at + 26) > now then
      blocks[#blocks + 1] = string.sub(there, at, at + 26)
    end
  end
  return table.concat(blocks)
end
";

/// Blocks fills of a key for a change, beside others who change it. May be repeated. Arguments: the
/// writer's token, the time, when the block expires, milliseconds until then.
const BLOCK_FILLS: &str = "
redis.call('SET', KEYS[1], 'w' .. other_blocks(ARGV[1], ARGV[2]) .. ARGV[1] .. ARGV[3], 'PX', ARGV[4])
return 1
";

/// Ends a change: what is read from now on is cached, where nobody else changes it. Gives 1 when nothing
/// can have been cached since the change began, and 0 when the block was lost meanwhile, as a server's
/// restart loses it, so that somebody may have cached what was there before. Arguments: the writer's
/// token, the time.
const UNBLOCK_FILLS: &str = "
local blocks = other_blocks(ARGV[1], ARGV[2])
if blocks == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], 'w' .. blocks, 'KEEPTTL') end
local is_held = string.sub(there, 1, 1) == 'w' and string.find(there, ARGV[1], 2, true)
return is_held and 1 or 0
";

pub(super) struct Scripts {
    pub(super) lease: Script,
    pub(super) refresh: Script,
    pub(super) store: Script,
    pub(super) release: Script,
    /// Sent whole, together with other commands: what a server that was restarted does not know by its
    /// hash would fail them all.
    pub(super) block_fills: String,
    pub(super) unblock_fills: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            lease: Script::new(LEASE),
            refresh: Script::new(REFRESH),
            store: Script::new(STORE),
            release: Script::new(RELEASE),
            block_fills: format!("{BLOCKS}{BLOCK_FILLS}"),
            unblock_fills: Script::new(&format!("{BLOCKS}{UNBLOCK_FILLS}")),
        }
    }
}
