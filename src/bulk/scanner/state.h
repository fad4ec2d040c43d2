/* What the host sets, and how all begins anew. */

/* Of the line that is read, and of lines without a prefix. */
static u32 stream, bare_stream;
static u32 stream_hash, bare_stream_hash;
static u32 part;
static double first_time;
static double last_time;
static u32 counted;
static u32 lines;
static u32 longest_line;
/* A line in pieces waits for the rest of it: no line stands for itself. */
static u32 holding;
/* The kinds of stamps and prefixes that the host was shown, one bit each: it is told which wrappers a part has. */
static u32 wrappers_shown;

/* Request ids and connections (their hashes) that are on too many lines to be kept or dropped together. */
#define SHARED_SLOTS 4096
static u32 shared_ids[2][SHARED_SLOTS];
static u32 shared_count[2];

static inline int is_shared(u32 failing, u32 hash) {
  for (u32 slot = hash & (SHARED_SLOTS - 1);; slot = (slot + 1) & (SHARED_SLOTS - 1)) {
    if (!shared_ids[failing][slot]) return 0;
    if (shared_ids[failing][slot] == hash) return 1;
  }
}

EXPORT(share_id) void share_id(u32 failing, u32 hash) {
  if (is_shared(failing, hash) || shared_count[failing] >= SHARED_SLOTS / 2) return;
  u32 slot = hash & (SHARED_SLOTS - 1);
  while (shared_ids[failing][slot]) slot = (slot + 1) & (SHARED_SLOTS - 1);
  shared_ids[failing][slot] = hash;
  shared_count[failing]++;
}

/* What follows is of another source, or another part of one: parts are numbered from 1. */
EXPORT(begin) void begin(u32 number, u32 hash) {
  stream = bare_stream = number;
  stream_hash = bare_stream_hash = hash;
  part++;
  counted = 0;
  lines = 0;
  holding = 0;
  wrappers_shown = 0;
  first_time = __builtin_inf();
  last_time = -__builtin_inf();
}

EXPORT(hold) void hold(u32 some) { holding = some; }

/* So many lines came that were not read here. */
EXPORT(skip_lines) void skip_lines(u32 count) { lines += count; }

/* Where the secrets of digests go: as many bytes as `secret_size` tells, before anything is counted. */
EXPORT(secrets_at) u32 secrets_at(void) { return (u32)secrets; }
EXPORT(secret_size) u32 secret_size(void) { return sizeof secrets; }

/* The minute of the time that was read last, as it was written and in ms since the Unix epoch. */
static u8 minute[32];
static double minute_ms;

static u32 input;

/* Forgets how much was counted of what, and its memory. `size`: bytes to be read at once; longer lines than `longest` are not read
 * here. Answers where the bytes go. */
EXPORT(clear) u32 clear(u32 size, u32 longest_allowed) {
  longest_line = longest_allowed;
  heap_end = heap_floor;
  /* A line is read in steps of 64 bytes. */
  input = room(size + 128);
  arena_size = 1 << 20;
  arena_used = 0;
  arena = (u8 *)room(arena_size);
  for (u32 kind = 0; kind < KINDS; kind++) clear_texts(&values[kind], 1 << 12);
  clear_directories(&counts, 1024);
  clear_directories(&carries, 1024);
  pages_used = 0;
  free_pages = 0;
  /* Kinds stay: the host knows them. */
  for (u32 i = 0; i < keys_count; i++) clear_counts(&keys[i]);
  spellings_count = 0;
  clear_spellings(1 << 13);
  return input;
}
