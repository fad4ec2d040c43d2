/*
 * Finds, in bytes that lie in this module's memory, the lines of Istio's text and JSON layouts that stand exactly as Envoy
 * writes them, and counts them; every other line is handed to the host as it stands. Of a line the bytes that tell its kind
 * (method, protocol, code to transport failure, authority, cluster, server name and route, and signs) make one key; the first
 * line of each key is shown to the host, which parses it and answers what is to be done with all of its kind. How a line
 * spells its kind and upstream host is looked up and counted as one. What takes many values (downstream peer, path, user
 * agent, duration) is counted by the cell that the host told.
 *
 * A line is counted here only where its quotes and blanks stand in the one place each that the layout has for them, or its
 * members in an order that the host has told, with nothing escaped: then the reader in the host, which knows many layouts,
 * would have found the same fields. Nothing here may read a line otherwise.
 *
 * Built by scripts/build-scanner.mjs into module.ts; the host's side is scanner.ts.
 */
#include <stdint.h>
#include <wasm_simd128.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

#define IMPORT(name) __attribute__((import_module("host"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

/* A key that is new: `bytes[start, end)` is a line of it. Answers its cell and signs, or a negative number for a line
 * that is to be handed over each time. */
IMPORT(met) extern int32_t met(u32 start, u32 end);
/* A line of JSON with keys that are new: the host adds their members; 0 where lines like it are to be handed over. */
IMPORT(layout) extern u32 layout(u32 start, u32 end);
/* A line that is not read here. */
IMPORT(other) extern void other(u32 start, u32 end);
/* A line that is to be kept, and for which there is no room here; `failing`: 1 or 0. */
IMPORT(keep) extern void keep(u32 start, u32 end, u32 hash, u32 failing);
/* Too many lines are kept, and one id is on far too many of them: the host takes all over. */
IMPORT(crowded) extern void crowded(u32 failing);
/* ms since the Unix epoch of the 24 bytes at `start`; NaN where they are no time. */
IMPORT(time_of) extern double time_of(u32 start);

/* Signs in the host's answer, below the cell. */
#define FAILING 1
#define ANSWERS 2
#define COUNTS 4
#define DOWNSTREAM 8
#define CELL_SHIFT 4

/* Signs of a key, as aggregate/tally.ts derives them of a record. */
#define HAS_PATH 1
#define NO_SERVICE_TIME 2
#define CALLS_OWN_APP 4
#define FROM_OWN_POD 64
#define FROM_ELSEWHERE 128

#define HOST 0
#define PEER 1
#define PATH 2
#define AGENT 3
#define KINDS 4
#define DURATION 4
#define KINDS_SHIFT 3

/* Longer paths are left to the host. */
#define LONGEST_PATH 512
/* And longer durations, ms. */
#define LONGEST_DURATION (1 << 20)

/* Lines of more kinds are handed over; with more values or texts the host takes what was counted, and it begins anew. */
#define MOST_KEYS 65536
#define MOST_SPELLINGS (4 * MOST_KEYS)
#define MOST_PAGES 75000
#define MOST_TEXT (8u << 20)
/* The same with more bytes: a cell that has one of the last values has a directory for all before, and cells are many. */
#define MOST_BYTES (256u << 20)

/* ---- memory ---- */

extern u8 __heap_base;
/* What lies below stays when what was counted is forgotten. */
static u32 heap_floor;
static u32 heap_end;

/* To grow takes long, however little. */
#define FEWEST_PAGES 128

static u32 room(u32 bytes) {
  u32 at = (heap_end + 63) & ~63u;
  heap_end = at + bytes + 64;
  if (heap_end < at) __builtin_trap();
  u32 pages = (heap_end + 65535) >> 16;
  u32 have = __builtin_wasm_memory_size(0);
  if (pages > have) {
    u32 more = pages - have > FEWEST_PAGES ? pages - have : FEWEST_PAGES;
    if (__builtin_wasm_memory_grow(0, more) == (u32)-1) __builtin_trap();
  }
  return at;
}

/* ---- texts ---- */

typedef struct {
  const u8 *at;
  u32 length;
} Bytes;

static inline u64 word_at(const u8 *at) {
  u64 word;
  __builtin_memcpy(&word, at, 8);
  return word;
}

static inline u64 stirred(u64 hash, u64 word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
  return hash ^ (hash >> 32);
}

/* Bytes behind an end are read and not regarded: what is to stay of 32 bytes begins `32 - length` bytes into this, and of 16
 * another 16 further on. */
static const u8 KEPT[64] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                            255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

/*
 * A text is known by a digest of 64 bits: two sums of NH, the hash of UMAC (RFC 4418), in one. Its secrets are drawn anew for
 * each module, so that no two texts have the same one but with a chance of about one in 2^63, whoever writes them. No text
 * has a 0 in it, so those behind its end change nothing.
 */
typedef u64 Digest;

#define MOST_PIECES 12
#define SPAN_STEPS 12
/* The pieces of a kind, the upstream host, and the downstream local address. */
#define SPANS (MOST_PIECES + 1)
static u8 secrets[(SPANS * SPAN_STEPS + 1) * 16];

typedef struct {
  v128_t a, b;
} Sum;

static inline void add_step(Sum *sum, v128_t bytes, const u8 *secret) {
  v128_t a = wasm_i32x4_add(bytes, wasm_v128_load(secret)), b = wasm_i32x4_add(bytes, wasm_v128_load(secret + 16));
  sum->a = wasm_i64x2_add(sum->a, wasm_u64x2_extmul_low_u32x4(a, wasm_i32x4_shuffle(a, a, 2, 3, 0, 1)));
  sum->b = wasm_i64x2_add(sum->b, wasm_u64x2_extmul_low_u32x4(b, wasm_i32x4_shuffle(b, b, 2, 3, 0, 1)));
}

static inline void add_bytes(Sum *sum, const u8 *at, u32 length, const u8 *secret) {
  for (; length > 16; length -= 16, at += 16, secret += 16) add_step(sum, wasm_v128_load(at), secret);
  add_step(sum, wasm_v128_and(wasm_v128_load(at), wasm_v128_load(KEPT + 32 - length)), secret);
}

static inline Digest digest_of_sum(const Sum *sum) {
  v128_t a = wasm_i64x2_add(sum->a, wasm_i32x4_shuffle(sum->a, sum->a, 2, 3, 0, 1));
  v128_t b = wasm_i64x2_add(sum->b, wasm_i32x4_shuffle(sum->b, sum->b, 2, 3, 0, 1));
  return stirred(stirred((u64)wasm_i64x2_extract_lane(a, 0), 0), (u64)wasm_i64x2_extract_lane(b, 0));
}

#define SPAN (SPAN_STEPS * 16)

static Digest digest_of_long(const u8 *at, u32 length) {
  Digest whole = 0;
  for (; length > 0;) {
    u32 here = length < SPAN ? length : SPAN;
    Sum sum = {wasm_i64x2_splat(0), wasm_i64x2_splat(0)};
    add_bytes(&sum, at, here, secrets);
    whole = stirred(whole, digest_of_sum(&sum));
    at += here;
    length -= here;
  }
  return whole;
}

static inline Digest digest_of(const u8 *at, u32 length) {
  if (length > SPAN) return digest_of_long(at, length);
  Sum sum = {wasm_i64x2_splat(0), wasm_i64x2_splat(0)};
  add_bytes(&sum, at, length, secrets);
  return digest_of_sum(&sum);
}

/* Adds one of several texts, that have their places in an order. */
static inline void add_span(Sum *sum, const u8 *at, u32 length, u32 place) {
  const u8 *secret = secrets + place * SPAN;
  if (length <= SPAN) return add_bytes(sum, at, length, secret);
  add_step(sum, wasm_i64x2_make((int64_t)digest_of_long(at, length), 0), secret);
}

static inline int same(const u8 *a, const u8 *b, u32 length) {
  for (; length > 32; length -= 32, a += 32, b += 32) {
    v128_t differ = wasm_v128_or(wasm_v128_xor(wasm_v128_load(a), wasm_v128_load(b)),
                                 wasm_v128_xor(wasm_v128_load(a + 16), wasm_v128_load(b + 16)));
    if (wasm_v128_any_true(differ)) return 0;
  }
  const u8 *kept = KEPT + 32 - length;
  v128_t differ = wasm_v128_or(
      wasm_v128_and(wasm_v128_xor(wasm_v128_load(a), wasm_v128_load(b)), wasm_v128_load(kept)),
      wasm_v128_and(wasm_v128_xor(wasm_v128_load(a + 16), wasm_v128_load(b + 16)), wasm_v128_load(kept + 16)));
  return !wasm_v128_any_true(differ);
}

/* The hash by which aggregate/rows.ts decides which lines to keep: `hashBytes` of record/dictionary.ts. */
static inline u32 mixed32(u32 hash) {
  hash ^= hash >> 16;
  hash *= 0x85ebca6bu;
  hash ^= hash >> 13;
  hash *= 0xc2b2ae35u;
  return hash ^ (hash >> 16);
}

static inline u32 stirred32(u32 hash, u32 word) {
  hash = (hash ^ word) * 0x9e3779b1u;
  return hash ^ (hash >> 15);
}

static inline u32 word32_at(const u8 *at) {
  u32 word;
  __builtin_memcpy(&word, at, 4);
  return word;
}

static inline u32 hash32_of(Bytes bytes) {
  const u8 *at = bytes.at;
  u32 length = bytes.length;
  u32 hash = length;
  for (; length >= 4; length -= 4, at += 4) hash = stirred32(hash, word32_at(at));
  for (; length > 0; length--, at++) hash = (hash ^ *at) * 0x01000193u;
  return mixed32(hash);
}

/* The same of a request id; of a UUID without the character in which Envoy keeps its trace decision. */
static inline u32 hash32_of_id(Bytes id) {
  const u8 *at = id.at;
  if (id.length != 36) return hash32_of(id);
  u32 hash = 36;
  for (u32 i = 0; i < 36; i += 4) {
    u32 word = word32_at(at + i);
    if (i == 12) word = (word & 0xff00ffffu) | (120u << 16);
    hash = stirred32(hash, word);
  }
  return mixed32(hash);
}

/* ---- tables ---- */

typedef struct {
  u32 at;
  u32 length;
  /* As the host's dictionaries have it. */
  u32 hash;
} Text;
_Static_assert(sizeof(Text) == 12, "scanner.ts reads it");

/* One past a text's number; 0 for a free slot. */
typedef struct {
  Digest digest;
  u32 held;
} Slot;

typedef struct {
  u32 count;
  u32 mask;
  Slot *slots;
  Text *texts;
} Texts;

static Texts values[KINDS];
static u8 *arena;
static u32 arena_used;
static u32 arena_size;

static u32 put_text(const u8 *at, u32 length) {
  if (arena_used + length + 32 > arena_size) {
    u32 size = arena_size * 2 > arena_used + length + 32 ? arena_size * 2 : arena_used + length + (1u << 20);
    u8 *wider = (u8 *)room(size);
    __builtin_memcpy(wider, arena, arena_used);
    arena = wider;
    arena_size = size;
  }
  u32 from = arena_used;
  __builtin_memcpy(arena + from, at, length);
  arena_used += length;
  return from;
}

static void clear_texts(Texts *texts, u32 slots) {
  texts->count = 0;
  texts->mask = slots - 1;
  texts->slots = (Slot *)room(slots * sizeof(Slot));
  texts->texts = (Text *)room(slots / 4 * 3 * sizeof(Text));
  __builtin_memset(texts->slots, 0, slots * sizeof(Slot));
}

static inline u32 slot_of(Digest digest, u32 mask) { return (u32)(digest >> 32) & mask; }

static void widen_texts(Texts *texts) {
  Texts old = *texts;
  clear_texts(texts, (old.mask + 1) * 2);
  texts->count = old.count;
  __builtin_memcpy(texts->texts, old.texts, old.count * sizeof(Text));
  for (u32 i = 0; i <= old.mask; i++) {
    if (!old.slots[i].held) continue;
    u32 slot = slot_of(old.slots[i].digest, texts->mask);
    while (texts->slots[slot].held) slot = (slot + 1) & texts->mask;
    texts->slots[slot] = old.slots[i];
  }
}

static __attribute__((noinline)) u32 new_text(Texts *texts, u32 slot, Bytes bytes, Digest digest) {
  u32 id = texts->count++;
  texts->texts[id].length = bytes.length;
  texts->texts[id].at = put_text(bytes.at, bytes.length);
  texts->texts[id].hash = hash32_of(bytes);
  texts->slots[slot].digest = digest;
  texts->slots[slot].held = id + 1;
  if (texts->count == (texts->mask + 1) / 4 * 3) widen_texts(texts);
  return id;
}

static inline u32 id_of_digest(Texts *texts, Bytes bytes, Digest digest) {
  u32 slot = slot_of(digest, texts->mask);
  for (;; slot = (slot + 1) & texts->mask) {
    const Slot *here = &texts->slots[slot];
    if (!here->held) return new_text(texts, slot, bytes, digest);
    if (here->digest == digest) return here->held - 1;
  }
}

static inline u32 id_of(Texts *texts, Bytes bytes) { return id_of_digest(texts, bytes, digest_of(bytes.at, bytes.length)); }

/*
 * How often a cell had each value, in pages, one for every 64 values of which the cell had one: values are numbered as they
 * come, so that those of a cell lie close together, and a count is found without a search. A page has a byte for each, since
 * many are met seldom and all are to lie in a cache; what goes beyond a byte is carried to pages of 16 wider counts.
 */
#define PAGE_BYTES 64
#define PAGE 64
#define CARRIES 16
#define SLAB 1024

typedef struct {
  /* 0: the cell has no page there. */
  void **pages;
  u32 size;
} Directory;

/* By cell and kind. */
typedef struct {
  Directory *of;
  u32 size;
  /* One past the last that has pages. */
  u32 used;
} Directories;

static Directories counts, carries;
static u32 pages_used;
static u8 *free_page;
static u32 free_pages;

static void clear_directories(Directories *directories, u32 size) {
  directories->size = size;
  directories->used = 0;
  directories->of = (Directory *)room(size * sizeof(Directory));
  __builtin_memset(directories->of, 0, size * sizeof(Directory));
}

static void widen_directories(Directories *directories, u32 wanted) {
  Directories old = *directories;
  clear_directories(directories, old.size * 2 > wanted ? old.size * 2 : wanted + 1);
  directories->used = old.used;
  __builtin_memcpy(directories->of, old.of, old.size * sizeof(Directory));
}

static void *new_page(Directories *directories, u32 cell_and_kind, u32 number) {
  if (cell_and_kind >= directories->size) widen_directories(directories, cell_and_kind);
  if (cell_and_kind >= directories->used) directories->used = cell_and_kind + 1;
  Directory *directory = &directories->of[cell_and_kind];
  if (number >= directory->size) {
    u32 size = directory->size * 2 > number + 4 ? directory->size * 2 : number + 4;
    void **wider = (void **)room(size * sizeof(void *));
    __builtin_memset(wider, 0, size * sizeof(void *));
    __builtin_memcpy(wider, directory->pages, directory->size * sizeof(void *));
    directory->pages = wider;
    directory->size = size;
  }
  if (!free_pages) {
    free_page = (u8 *)room(SLAB * PAGE_BYTES);
    free_pages = SLAB;
  }
  u8 *page = free_page;
  free_page += PAGE_BYTES;
  free_pages--;
  pages_used++;
  __builtin_memset(page, 0, PAGE_BYTES);
  return directory->pages[number] = page;
}

static inline void *page_of(const Directories *directories, u32 cell_and_kind, u32 number) {
  if (cell_and_kind >= directories->size || number >= directories->of[cell_and_kind].size) return 0;
  return directories->of[cell_and_kind].pages[number];
}

static __attribute__((noinline)) void carry(u32 cell_and_kind, u32 value, u32 times) {
  u32 *page = (u32 *)page_of(&carries, cell_and_kind, value / CARRIES);
  if (!page) page = (u32 *)new_page(&carries, cell_and_kind, value / CARRIES);
  page[value % CARRIES] += times;
}

static inline void count_value(u32 cell_and_kind, u32 value, u32 times) {
  u8 *page = (u8 *)page_of(&counts, cell_and_kind, value / PAGE);
  if (!page) page = (u8 *)new_page(&counts, cell_and_kind, value / PAGE);
  u32 sum = page[value % PAGE] + times;
  page[value % PAGE] = (u8)sum;
  if (sum > 255) carry(cell_and_kind, value, sum & ~255u);
}

/*
 * Peers are many, and where they are counted lies in no cache. Looked up a batch at once, the processor waits for many
 * places at the same time.
 */
#define BATCH 64
typedef struct {
  Bytes host;
  Digest digest;
  u32 cell_and_kind;
  u32 value;
} Peer;
static Peer peers[BATCH];
static u32 peers_waiting;

static void count_peers(void) {
  for (u32 i = 0; i < peers_waiting; i++) peers[i].value = id_of_digest(&values[PEER], peers[i].host, peers[i].digest);
  for (u32 i = 0; i < peers_waiting; i++) count_value(peers[i].cell_and_kind, peers[i].value, 1);
  peers_waiting = 0;
}

static inline void count_peer(u32 cell_and_kind, Bytes host) {
  Peer *peer = &peers[peers_waiting++];
  peer->host = host;
  peer->digest = digest_of(host.at, host.length);
  peer->cell_and_kind = cell_and_kind;
  if (peers_waiting == BATCH) count_peers();
}

/* The kinds of lines that were met. */
typedef struct {
  Digest digest;
  int32_t answer;
  u32 count;
  double first;
  double last;
  /* What the host calls it. */
  u32 name;
} Key;

static u32 name_of_key;
/* How the host calls the kind that it is just shown. */
EXPORT(name_key) void name_key(u32 name) { name_of_key = name; }

_Static_assert(sizeof(Key) == 40, "scanner.ts reads it");

static Key *keys;
static u32 keys_count;
static u32 key_slots[2 * MOST_KEYS];

/* The ways in which lines spelled their kind and upstream host, each with what is counted of it. */
typedef struct {
  Digest digest;
  u32 key;
  /* One past the host's number; 0 for none. */
  u32 host;
  u32 count;
  double first;
  double last;
} Spelling;

static Spelling *spellings;
static u32 spellings_count;
static u32 *spelling_slots;
static u32 spelling_mask;

static void clear_spellings(u32 slots) {
  spelling_mask = slots - 1;
  spelling_slots = (u32 *)room(slots * 4);
  spellings = (Spelling *)room(slots / 2 * sizeof(Spelling));
  __builtin_memset(spelling_slots, 0, slots * 4);
}

static void place_spelling(u32 number) {
  u32 slot = slot_of(spellings[number].digest, spelling_mask);
  while (spelling_slots[slot]) slot = (slot + 1) & spelling_mask;
  spelling_slots[slot] = number + 1;
}

static void widen_spellings(void) {
  Spelling *old = spellings;
  clear_spellings((spelling_mask + 1) * 2);
  __builtin_memcpy(spellings, old, spellings_count * sizeof(Spelling));
  for (u32 i = 0; i < spellings_count; i++) place_spelling(i);
}

static inline Spelling *spelling_of(Digest digest) {
  u32 slot = slot_of(digest, spelling_mask);
  for (u32 held = spelling_slots[slot]; held; held = spelling_slots[slot]) {
    Spelling *here = &spellings[held - 1];
    if (here->digest == digest) return here;
    slot = (slot + 1) & spelling_mask;
  }
  return 0;
}

/* ---- what the host sets and reads ---- */

static u32 stream;
static u32 stream_hash;
static u32 part;
static double first_time;
static double last_time;
static u32 counted;
static u32 lines;
static u32 longest_line;

/* Request ids (their hashes) that are on too many lines to be kept or dropped together. */
#define SHARED_SLOTS 4096
/* On more kept lines an id is nobody's request. */
#define MOST_OF_ONE_ID 500
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
  stream = number;
  stream_hash = hash;
  part++;
  counted = 0;
  lines = 0;
  first_time = __builtin_inf();
  last_time = -__builtin_inf();
}

/* So many lines came that were not read here. */
EXPORT(skip_lines) void skip_lines(u32 count) { lines += count; }

/* Where the secrets of digests go: as many bytes as `secret_size` tells, before anything is counted. */
EXPORT(secrets_at) u32 secrets_at(void) { return (u32)secrets; }
EXPORT(secret_size) u32 secret_size(void) { return sizeof secrets; }

/* The minute of the time that was read last, as it was written and in ms since the Unix epoch. */
static u8 minute[32];
static double minute_ms;

static u32 input;

/* Forgets all that was counted, and its memory. `size`: bytes to be read at once; longer lines than `longest` are not read
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
  keys = (Key *)room(MOST_KEYS * sizeof(Key));
  keys_count = 0;
  spellings_count = 0;
  clear_spellings(1 << 13);
  __builtin_memset(key_slots, 0, sizeof key_slots);
  return input;
}

/* ---- one line ---- */

static inline int is_digit(u8 byte) { return (u8)(byte - 48) < 10; }

#define ALL(byte) (0x0101010101010101ull * (byte))

/* Eight digits at once, the first one in the lowest byte; -1 where not all are digits. */
static inline int32_t eight_digits(u64 word) {
  if (((word & ALL(0xf0)) ^ ALL(0x30)) | (((word + ALL(6)) & ALL(0xf0)) ^ ALL(0x30))) return -1;
  word = (word & ALL(0x0f)) * 2561 >> 8;
  word = (word & 0x00ff00ff00ff00ffull) * 6553601 >> 16;
  return (int32_t)((word & 0x0000ffff0000ffffull) * 42949672960001ull >> 32);
}

/* The value of up to eight digits; -1 where anything else stands there. */
static inline int32_t digits(const u8 *at, const u8 *end) {
  u32 length = (u32)(end - at);
  if (length - 1 > 7) return -1;
  return eight_digits(word_at(at) << (64 - 8 * length) | (length == 8 ? 0 : ALL(0x30) >> (8 * length)));
}

static inline int all_digits(const u8 *at, const u8 *end) {
  if (digits(at, end) >= 0) return 1;
  if (at == end) return 0;
  for (; at < end; at++)
    if (!is_digit(*at)) return 0;
  return 1;
}

/* An address as a tail holds them, or `-`. */
static inline int is_address(const u8 *at, const u8 *end) {
  u32 length = (u32)(end - at);
  v128_t head = wasm_v128_load(at);
  /* `.`, `/` and `:`. */
  u32 signs = wasm_i8x16_bitmask(wasm_v128_or(wasm_u8x16_lt(wasm_i8x16_sub(head, wasm_i8x16_splat('.')), wasm_i8x16_splat(2)),
                                              wasm_i8x16_eq(head, wasm_i8x16_splat(':'))));
  if (length >= 2 && (signs & (length < 16 ? (1u << length) - 1 : 0xffff))) return 1;
  if (length < 2) return length == 1 && *at == '-';
  for (; at < end; at++)
    if (*at == ':' || *at == '/' || *at == '.') return 1;
  return 0;
}

static inline int is_dash(const u8 *at, const u8 *end) { return end - at == 1 && *at == '-'; }

/* The host of an address as a tail holds them, `10.0.0.1:80` or `[fd00::1]:80`; 0 for one of another kind. */
static inline int host_of(Bytes address, Bytes *host) {
  const u8 *at = address.at, *end = at + address.length;
  if (address.length == 0) return 0;
  if (is_digit(*at) && address.length <= 32) {
    v128_t colon = wasm_i8x16_splat(':');
    u32 colons = (wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(at), colon)) |
                  (u32)wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(at + 16), colon)) << 16) &
                 (0xffffffffu >> (32 - address.length));
    if (colons & (colons - 1)) return 0;
    host->at = at;
    host->length = colons ? (u32)__builtin_ctz(colons) : address.length;
    return colons != 0 || is_address(at, end);
  }
  if (*at != '[') return 0;
  const u8 *close = at + 1;
  while (close < end && *close != ']') close++;
  if (close == end) return 0;
  host->at = at + 1;
  host->length = (u32)(close - at - 1);
  return is_address(at, end);
}

static inline int is_hex(u8 byte) { return is_digit(byte) || (u8)((byte | 32) - 'a') < 6; }

/* As aggregate/path-template.ts tells ids: 1 for `{uuid}`, 2 for `{id}`, 0 for a word. Longer than 7, digits in it or 36 long. */
static int id_like(const u8 *at, u32 length) {
  u32 hex = 0, digit = 0, token = 0, dash = 0;
  for (u32 i = 0; i < length; i++) {
    u8 byte = at[i];
    digit += is_digit(byte);
    hex += is_hex(byte);
    dash += byte == '-';
    token += is_digit(byte) || (u8)((byte | 32) - 'a') < 26 || byte == '-' || byte == '_';
  }
  if (length == 36 && hex == 32 && dash == 4 && at[8] == '-' && at[13] == '-' && at[18] == '-' && at[23] == '-') return 1;
  if (hex == length && digit > 0) return 2;
  return token == length && length >= 16 && digit > 0 && digit < length ? 2 : 0;
}

/* ---- 64 bytes at once ---- */

static inline u64 mask_of(v128_t a, v128_t b, v128_t c, v128_t d) {
  return (u64)wasm_i8x16_bitmask(a) | (u64)wasm_i8x16_bitmask(b) << 16 | (u64)wasm_i8x16_bitmask(c) << 32 |
         (u64)wasm_i8x16_bitmask(d) << 48;
}

typedef struct {
  v128_t a, b, c, d;
} Block;

static inline Block block_at(const u8 *at) {
  Block block = {wasm_v128_load(at), wasm_v128_load(at + 16), wasm_v128_load(at + 32), wasm_v128_load(at + 48)};
  return block;
}

static inline u64 where(Block block, v128_t byte) {
  return mask_of(wasm_i8x16_eq(block.a, byte), wasm_i8x16_eq(block.b, byte), wasm_i8x16_eq(block.c, byte),
                 wasm_i8x16_eq(block.d, byte));
}

static inline u64 where_below(Block block, v128_t byte) {
  return mask_of(wasm_u8x16_lt(block.a, byte), wasm_u8x16_lt(block.b, byte), wasm_u8x16_lt(block.c, byte),
                 wasm_u8x16_lt(block.d, byte));
}

static inline int any_below(Block block, v128_t byte) {
  v128_t least = wasm_u8x16_min(wasm_u8x16_min(block.a, block.b), wasm_u8x16_min(block.c, block.d));
  return wasm_v128_any_true(wasm_u8x16_sub_sat(byte, least));
}

static inline u32 ones(u64 mask) { return (u32)__builtin_popcountll(mask); }
/* 64 for none, as the instruction has it. */
static inline u32 first_of(u64 mask) { return (u32)__builtin_ctzll(mask); }

static u8 template[2 * LONGEST_PATH + 64];

/* What stands for a segment in a template, as up to 8 bytes; 0 where it stands for itself. */
static inline u64 stand_in(const u8 *at, u32 length, u32 all_digits, u32 some_digits) {
  if (length > 0 && all_digits) return 0x7d6e7bull; /* {n} */
  if (length < 8 || !(some_digits || length == 36)) return 0;
  int id = id_like(at, length);
  return id == 0 ? 0 : id == 1 ? 0x7d646975757bull /* {uuid} */ : 0x7d64697bull /* {id} */;
}

static inline u32 put_stand_in(u32 used, u64 text) {
  __builtin_memcpy(template + used, &text, 8);
  return used + (71 - (u32)__builtin_clzll(text)) / 8;
}

/* A path with its ids replaced, by the places of its question marks, digits and slashes. */
static inline Bytes template_by(Bytes whole, u64 query, u64 digit, u64 slash) {
  u64 within = whole.length == 64 ? ~0ull : (1ull << whole.length) - 1;
  query &= within;
  if (query) within = (query & -query) - 1;
  digit &= within;
  slash &= within;
  Bytes path = {whole.at, query ? first_of(query) : whole.length};
  /* Where there may be something to replace: a segment of 36 may have no digit. */
  u64 left = digit | (path.length < 36 ? 0 : (slash << 1 | 1) & within);
  u32 used = 0, copied = 0;
  while (left) {
    u32 at = first_of(left);
    u64 before = slash & ((1ull << at) - 1), behind = slash >> at;
    u32 start = before ? 64 - (u32)__builtin_clzll(before) : 0, end = behind ? at + first_of(behind) : path.length;
    u64 segment = (end == 64 ? ~0ull : (1ull << end) - 1) & ~((1ull << start) - 1);
    u64 text = stand_in(path.at + start, end - start, (digit & segment) == segment, (digit & segment) != 0);
    left &= ~segment & ~(1ull << at);
    if (!text) continue;
    for (u32 i = copied; i < start; i += 16)
      wasm_v128_store(template + used + i - copied, wasm_v128_load(path.at + i));
    used = put_stand_in(used + start - copied, text);
    copied = end;
  }
  if (copied == 0) return path;
  for (u32 i = copied; i < path.length; i += 16)
    wasm_v128_store(template + used + i - copied, wasm_v128_load(path.at + i));
  path.at = template;
  path.length = used + path.length - copied;
  return path;
}

/* The same of up to 64 bytes. */
static __attribute__((noinline)) Bytes template_of_64(Bytes whole) {
  const v128_t zero = wasm_i8x16_splat('0');
  Block block = block_at(whole.at);
  Block digits = {wasm_i8x16_sub(block.a, zero), wasm_i8x16_sub(block.b, zero), wasm_i8x16_sub(block.c, zero),
                  wasm_i8x16_sub(block.d, zero)};
  return template_by(whole, where(block, wasm_i8x16_splat('?')), where_below(digits, wasm_i8x16_splat(10)),
                     where(block, wasm_i8x16_splat('/')));
}

static inline u32 mask_of_32(v128_t a, v128_t b) { return (u32)wasm_i8x16_bitmask(a) | (u32)wasm_i8x16_bitmask(b) << 16; }

/* And of up to 32. */
static inline Bytes template_of_32(Bytes whole) {
  const v128_t zero = wasm_i8x16_splat('0'), ten = wasm_i8x16_splat(10), query = wasm_i8x16_splat('?'), slash = wasm_i8x16_splat('/');
  v128_t a = wasm_v128_load(whole.at), b = wasm_v128_load(whole.at + 16);
  return template_by(whole, mask_of_32(wasm_i8x16_eq(a, query), wasm_i8x16_eq(b, query)),
                     mask_of_32(wasm_u8x16_lt(wasm_i8x16_sub(a, zero), ten), wasm_u8x16_lt(wasm_i8x16_sub(b, zero), ten)),
                     mask_of_32(wasm_i8x16_eq(a, slash), wasm_i8x16_eq(b, slash)));
}

/* And of any length; of length 0 for one that is too long. */
static __attribute__((noinline)) Bytes template_of_any(Bytes whole) {
  const u8 *at = whole.at, *end = at + whole.length;
  u32 used = 0;
  const u8 *segment = at;
  u32 digit = 0;
  const u8 *from = at;
  Bytes path = {template, 0};
  for (;; at++) {
    u8 byte = at < end ? *at : '?';
    if (is_digit(byte)) {
      digit++;
      continue;
    }
    if (byte != '/' && byte != '?') continue;
    if (at - from > LONGEST_PATH - 1) return path;
    u32 length = (u32)(at - segment);
    u64 text = stand_in(segment, length, digit == length, digit > 0);
    if (text) used = put_stand_in(used, text);
    else for (u32 i = 0; i < length; i++) template[used++] = segment[i];
    if (byte == '?') break;
    template[used++] = '/';
    segment = at + 1;
    digit = 0;
  }
  path.length = used;
  return path;
}

/* What is counted of a line. A field that is not there, or null, is `-`. */
typedef struct {
  const u8 *line, *end;
  /* 24 bytes. */
  const u8 *time;
  Bytes method, path, protocol, authority, host, local, downstream_local, peer, agent, id;
  /* Milliseconds and bytes; -2 for none, of the service time -1 for one that is too long. */
  int32_t duration, service_time, received, sent;
  u32 has_service_time;
  /* Whether every field was read here as the host would: else it reads a line that is kept. */
  u32 whole;
  /* What makes the line's kind. */
  Bytes pieces[MOST_PIECES];
  u32 pieces_count;
} Fields;

static inline int is_null(Bytes text) { return text.length == 1 && *text.at == '-'; }
static inline int is_there(Bytes text) { return text.length > 0 && !is_null(text); }
static inline Bytes between(const u8 *at, const u8 *end) {
  Bytes bytes = {at, (u32)(end - at)};
  return bytes;
}

/* 127.0.0.6 is the address from which a sidecar calls its own app. */
static inline int calls_own_app(Bytes local) {
  return (local.length >= 10 && word_at(local.at) == 0x2e302e302e373231ull && local.at[8] == '6' && local.at[9] == ':') ||
         (local.length >= 6 && word32_at(local.at) == 0x363a3a5bu && local.at[4] == ']' && local.at[5] == ':');
}

/* ms since the Unix epoch of `2026-01-02T03:04:05.678Z`; NaN for another time. */
static inline double time_at(const u8 *at) {
  /* The bytes of `:05.678Z` less those of `:00.000Z`: digits stay, the others vanish. */
  u64 figures = word_at(at + 16) ^ 0x5a3030302e30303aull;
  if ((figures & 0xfff0f0f0fff0f0ffull) || ((figures + ALL(6)) & ALL(0xf0))) return __builtin_nan("");
  int32_t second = (int32_t)((figures >> 8 & 15) * 10 + (figures >> 16 & 15));
  int32_t ms = second * 1000 + (int32_t)((figures >> 32 & 15) * 100 + (figures >> 40 & 15) * 10 + (figures >> 48 & 15));
  if (second > 60) return __builtin_nan("");
  if (!same(at, minute, 17)) {
    double time = time_of((u32)at);
    if (time != time || at[0] != '2' || at[1] != '0') return __builtin_nan("");
    minute_ms = time - ms;
    __builtin_memcpy(minute, at, 17);
  }
  return minute_ms + ms;
}

static inline Sum sum_of_signs(u32 signs) {
  v128_t both = wasm_i32x4_make((int32_t)signs, (int32_t)stream, 0, 0);
  Sum sum = {both, both};
  return sum;
}

/* The kind of a line whose spelling is new; the number of one past the last where there is no more room. */
static u32 key_of(const Fields *fields, u32 signs, u32 with_local) {
  Sum sum = sum_of_signs(signs);
  for (u32 i = 0; i < fields->pieces_count; i++) add_span(&sum, fields->pieces[i].at, fields->pieces[i].length, i);
  if (with_local) add_span(&sum, fields->downstream_local.at, fields->downstream_local.length, MOST_PIECES);
  Digest digest = digest_of_sum(&sum);
  u32 slot = slot_of(digest, 2 * MOST_KEYS - 1);
  for (u32 held = key_slots[slot]; held; held = key_slots[slot]) {
    Key *here = &keys[held - 1];
    if (here->digest == digest) return held - 1;
    slot = (slot + 1) & (2 * MOST_KEYS - 1);
  }
  if (keys_count == MOST_KEYS) return MOST_KEYS;
  int32_t answer = met((u32)fields->line, (u32)fields->end);
  Key *key = &keys[keys_count];
  key->digest = digest;
  key->answer = answer;
  key->name = name_of_key;
  key->count = 0;
  key->first = __builtin_inf();
  key->last = -__builtin_inf();
  key_slots[slot] = keys_count + 1;
  return keys_count++;
}

static __attribute__((noinline)) Spelling *new_spelling(const Fields *fields, u32 signs, u32 with_local, Digest digest) {
  u32 key = key_of(fields, signs, with_local);
  if (key == MOST_KEYS) return 0;
  if (spellings_count * 2 > spelling_mask) widen_spellings();
  Spelling *here = &spellings[spellings_count];
  here->digest = digest;
  here->key = key;
  here->host = is_null(fields->host) ? 0 : id_of(&values[HOST], fields->host) + 1;
  here->count = 0;
  here->first = __builtin_inf();
  here->last = -__builtin_inf();
  place_spelling(spellings_count++);
  return here;
}

/* Says what a line's addresses tell; 0 where one is of another kind than is read here. */
static inline int signs_of(const Fields *fields, u32 *signs, Bytes *peer_host) {
  Bytes local_host;
  int has_peer = !is_null(fields->peer);
  *signs = (is_there(fields->path) ? HAS_PATH : 0) | (fields->has_service_time ? 0 : NO_SERVICE_TIME);
  if (has_peer && !host_of(fields->peer, peer_host)) return 0;
  if (is_null(fields->local)) return 1;
  if (calls_own_app(fields->local)) *signs |= CALLS_OWN_APP;
  if (!host_of(fields->local, &local_host)) return 0;
  if (has_peer)
    *signs |= local_host.length == peer_host->length && same(local_host.at, peer_host->at, peer_host->length)
                  ? FROM_OWN_POD
                  : FROM_ELSEWHERE;
  return 1;
}

/* Whether nothing but the downstream local address tells what was meant. */
static inline u32 is_known_by_local(const Fields *fields) {
  return !(is_there(fields->path) || is_there(fields->method) || is_there(fields->protocol) || is_there(fields->authority));
}

/* ---- lines that are kept ---- */

#define KEPT_FIELDS 7
typedef struct {
  u32 hash;
  u32 name;
  /* The part, and its line. */
  u32 part, line;
  u32 at, length;
  u32 whole;
  int32_t duration, service_time, received, sent;
  /* Where path, user agent, upstream host, local, downstream local and peer address and request id begin and end in the line;
   * twice 0 for one that is null, 1 and 0 for one that is absent. */
  u32 spans[2 * KEPT_FIELDS];
  double time;
} Kept;
_Static_assert(sizeof(Kept) == 112 && __builtin_offsetof(Kept, time) == 104, "scanner.ts reads it");

typedef struct {
  /* Of the lines with a hash below so many are kept, and no more. */
  u64 below;
  u32 most, count;
  Kept *lines;
  u8 *text;
  u32 used, size;
  /* Room to sort hashes. */
  u32 *hashes;
} Sample;

/* The healthy lines, and the failing ones. */
static Sample samples[2];

/* Bytes of a kept line for which there is room. */
#define KEPT_LENGTH 1024

/* How many lines are kept: to be said once, before `clear`. */
EXPORT(keep_at_most) void keep_at_most(u32 healthy, u32 failing) {
  heap_end = (u32)&__heap_base;
  for (u32 i = 0; i < 2; i++) {
    Sample *sample = &samples[i];
    sample->below = 1ull << 32;
    sample->most = i ? failing : healthy;
    sample->lines = (Kept *)room((sample->most + 1) * sizeof(Kept));
    sample->hashes = (u32 *)room((sample->most + 1) * 2 * sizeof(u32));
    sample->size = sample->most * KEPT_LENGTH;
    sample->text = (u8 *)room(sample->size);
  }
  heap_floor = heap_end;
}

EXPORT(kept_below) double kept_below(u32 failing) { return (double)samples[failing].below; }
EXPORT(kept_count) u32 kept_count(u32 failing) { return samples[failing].count; }
EXPORT(kept_at) u32 kept_at(u32 failing) { return (u32)samples[failing].lines; }
EXPORT(drop_kept) void drop_kept(u32 failing) { samples[failing].count = samples[failing].used = 0; }

/* Whether some hash is on more lines than an id may be. */
EXPORT(has_crowd) u32 has_crowd(u32 failing) {
  const Sample *sample = &samples[failing];
  u32 count = sample->count, *from = sample->hashes, *to = from + sample->most + 1;
  if (count <= MOST_OF_ONE_ID) return 0;
  for (u32 i = 0; i < count; i++) from[i] = sample->lines[i].hash;
  /* Sorted by 11 bits at once, the last ones first. */
  for (u32 shift = 0; shift < 32; shift += 11) {
    static u32 place[2048];
    __builtin_memset(place, 0, sizeof place);
    for (u32 i = 0; i < count; i++) place[from[i] >> shift & 2047]++;
    for (u32 i = 0, before = 0; i < 2048; i++) {
      u32 here = place[i];
      place[i] = before;
      before += here;
    }
    for (u32 i = 0; i < count; i++) to[place[from[i] >> shift & 2047]++] = from[i];
    u32 *sorted = to;
    to = from;
    from = sorted;
  }
  for (u32 i = MOST_OF_ONE_ID; i < count; i++)
    if (from[i] == from[i - MOST_OF_ONE_ID]) return 1;
  return 0;
}

/* Forgets the lines that are no longer below. */
static void drop_lines(Sample *sample) {
  u32 count = 0, used = 0;
  for (u32 i = 0; i < sample->count; i++) {
    Kept *line = &sample->lines[i];
    if (line->hash >= sample->below) continue;
    __builtin_memmove(sample->text + used, (const u8 *)line->at, line->length);
    sample->lines[count] = *line;
    sample->lines[count++].at = (u32)sample->text + used;
    used += line->length;
  }
  sample->count = count;
  sample->used = used;
}

/* In the place of the text of a field that is null, or absent. Longer ones than they are read at once. */
static const u8 NULL_TEXT[64] = "-", ABSENT[64] = "-";

EXPORT(keep_below) void keep_below(u32 failing, double below) {
  samples[failing].below = (u64)below;
  drop_lines(&samples[failing]);
}

static inline void put_span(u32 *spans, const u8 *line, Bytes field) {
  int there = !is_null(field);
  spans[0] = there ? (u32)(field.at - line) : field.at == ABSENT;
  spans[1] = there ? spans[0] + field.length : 0;
}

static __attribute__((noinline)) void keep_line(const Fields *fields, u32 name, double time, u32 hash, u32 failing) {
  Sample *sample = &samples[failing];
  u32 length = (u32)(fields->end - fields->line);
  if (sample->used + length > sample->size) return keep((u32)fields->line, (u32)fields->end, hash, failing);
  Kept *kept = &sample->lines[sample->count++];
  kept->hash = hash;
  kept->name = name;
  kept->part = part;
  kept->line = lines;
  kept->at = (u32)sample->text + sample->used;
  kept->length = length;
  kept->whole = fields->whole;
  kept->duration = fields->duration;
  kept->service_time = fields->service_time;
  kept->received = fields->received;
  kept->sent = fields->sent;
  kept->time = time;
  put_span(kept->spans, fields->line, fields->path);
  put_span(kept->spans + 2, fields->line, fields->agent);
  put_span(kept->spans + 4, fields->line, fields->host);
  put_span(kept->spans + 6, fields->line, fields->local);
  put_span(kept->spans + 8, fields->line, fields->downstream_local);
  put_span(kept->spans + 10, fields->line, fields->peer);
  put_span(kept->spans + 12, fields->line, fields->id);
  __builtin_memcpy(sample->text + sample->used, fields->line, length);
  sample->used += length;
  if (sample->count <= sample->most) return;
  if (has_crowd(failing)) return crowded(failing);
  while (sample->count > sample->most) {
    sample->below >>= 1;
    drop_lines(sample);
  }
}

/* Counts a line, whose spelling was looked up; 0 where it is to be handed over. */
static inline __attribute__((always_inline)) int count_fields(const Fields *fields, Spelling *spelling, Bytes peer_host) {
  int32_t answer = keys[spelling->key].answer;
  if (answer < 0) return 0;
  double time = time_at(fields->time);
  if (time != time) return 0;
  int has_path = is_there(fields->path);
  Bytes path = {0, 0};
  if (has_path) {
    u32 length = fields->path.length;
    path = length <= 32 ? template_of_32(fields->path) : length <= 64 ? template_of_64(fields->path) : template_of_any(fields->path);
    if (path.length == 0 && length > 64) return 0;
  }
  spelling->count++;
  counted++;
  if (time < first_time) first_time = time;
  if (time > last_time) last_time = time;

  u32 failing = answer & FAILING, duration = (u32)fields->duration;
  if (answer & COUNTS) {
    u32 base = ((u32)answer >> CELL_SHIFT) << KINDS_SHIFT;
    if (!is_null(fields->peer)) count_peer(base | PEER, peer_host);
    if (has_path) count_value(base | PATH, id_of(&values[PATH], path), 1);
    if (!is_null(fields->agent)) count_value(base | AGENT, id_of(&values[AGENT], fields->agent), 1);
    if (fields->duration >= 0) {
      if (answer & ANSWERS) count_value(DURATION, duration, 1);
      if (failing) count_value(base | DURATION, duration, 1);
    }
    if (failing) {
      if (time < spelling->first) spelling->first = time;
      if (time > spelling->last) spelling->last = time;
    }
  }

  /* Whether the line stays: by its request where it names one, else its connection, else itself. */
  u32 keep_hash = 0;
  int lone = 0;
  if (is_there(fields->id)) {
    keep_hash = hash32_of_id(fields->id);
    lone = shared_count[failing] > 0 && is_shared(failing, keep_hash);
  } else {
    Bytes connection = answer & DOWNSTREAM ? fields->peer : fields->local;
    lone = is_null(connection);
    if (!lone) keep_hash = hash32_of(connection);
  }
  if (lone) {
    keep_hash = stirred32(stream_hash, (u32)(int64_t)time);
    keep_hash = stirred32(keep_hash, fields->duration < 0 ? 0 : duration);
    keep_hash = mixed32(stirred32(keep_hash, fields->sent < 0 ? 0 : (u32)fields->sent));
  }
  if (keep_hash < samples[failing].below) keep_line(fields, keys[spelling->key].name, time, keep_hash, failing);
  return 1;
}

/* ---- text ---- */

#define SEPARATORS 21
#define QUOTES 14

/* The fields, by the blank in front of them. */
enum { AFTER_TIME, AFTER_REQUEST, AFTER_CODE, AFTER_FLAGS, AFTER_DETAILS, AFTER_TERMINATION, AFTER_REASON, AFTER_RECEIVED,
  AFTER_SENT, AFTER_DURATION, AFTER_SERVICE_TIME, AFTER_FORWARDED_FOR, AFTER_AGENT, AFTER_ID, AFTER_AUTHORITY, AFTER_HOST,
  AFTER_CLUSTER, AFTER_LOCAL, AFTER_DOWNSTREAM_LOCAL, AFTER_PEER, AFTER_SERVER_NAME };

/* A field without its quotes, by the blanks around it. */
static inline Bytes within_quotes(const u8 *blank, const u8 *next) { return between(blank + 2, next - 1); }

/* Whether a field, of which a line has as many quotes as quoted fields need, is enclosed by two of them, not by one twice. */
static inline int is_enclosed(const u8 *blank, const u8 *next) { return blank[1] == '"' && next[-1] == '"' && next - blank > 2; }

/*
 * [time] "method path protocol" code flags details termination "reason" received sent duration service-time
 * "forwarded-for" "agent" "id" "authority" "host" cluster local downstream-local peer server-name route
 *
 * A line with as many quotes, and blanks that no quotes enclose, at `cut`; 0 where it is none of these.
 */
static inline int count_text(const u8 *line, const u8 *end, const u32 *cut) {
#define AT(i) (line + cut[i])
  if (cut[AFTER_TIME] != 26 || line[0] != '[' || line[25] != ']') return 0;
  if (!(is_enclosed(AT(AFTER_TIME), AT(AFTER_REQUEST)) & is_enclosed(AT(AFTER_TERMINATION), AT(AFTER_REASON)) &
        is_enclosed(AT(AFTER_SERVICE_TIME), AT(AFTER_FORWARDED_FOR)) & is_enclosed(AT(AFTER_FORWARDED_FOR), AT(AFTER_AGENT)) &
        is_enclosed(AT(AFTER_AGENT), AT(AFTER_ID)) & is_enclosed(AT(AFTER_ID), AT(AFTER_AUTHORITY)) &
        is_enclosed(AT(AFTER_AUTHORITY), AT(AFTER_HOST))))
    return 0;

  const u8 *method = AT(AFTER_TIME) + 2, *close = AT(AFTER_REQUEST) - 1, *protocol;
  if (close < method + 5) return 0;
  if (close[-1] == '-' && close[-2] == ' ') protocol = close - 1;
  else if (close - method > 9 && close[-9] == ' ' && word_at(close - 8) >> 8 == 0x312e312f505454ull && close[-8] == 'H')
    protocol = close - 8;
  else if (close - method > 7 && close[-7] == ' ' && word32_at(close - 6) == 0x50545448u && close[-2] == '/' && close[-1] > ' ')
    protocol = close - 6;
  else return 0;
  u64 blanks = word_at(method) ^ ALL(' ');
  blanks = (blanks - ALL(1)) & ~blanks & ALL(0x80);
  const u8 *method_end = method + (blanks ? first_of(blanks) / 8 : 8);
  while (*method_end != ' ') method_end++;
  if (protocol - 1 < method_end + 1) return 0;

  Fields fields;
  fields.received = digits(AT(AFTER_REASON) + 1, AT(AFTER_RECEIVED));
  fields.sent = digits(AT(AFTER_RECEIVED) + 1, AT(AFTER_SENT));
  fields.duration = is_dash(AT(AFTER_SENT) + 1, AT(AFTER_DURATION)) ? -2 : digits(AT(AFTER_SENT) + 1, AT(AFTER_DURATION));
  if (fields.received < 0 || fields.sent < 0 || fields.duration == -1 || fields.duration >= LONGEST_DURATION ||
      cut[AFTER_SERVICE_TIME] == cut[AFTER_DURATION] + 1)
    return 0;
  if (!is_address(AT(AFTER_LOCAL) + 1, AT(AFTER_DOWNSTREAM_LOCAL))) return 0;

  fields.line = line;
  fields.end = end;
  fields.time = line + 1;
  fields.method = between(method, method_end);
  fields.path = between(method_end + 1, protocol - 1);
  fields.protocol = between(protocol, close);
  fields.service_time = is_dash(AT(AFTER_DURATION) + 1, AT(AFTER_SERVICE_TIME)) ? -2 : digits(AT(AFTER_DURATION) + 1, AT(AFTER_SERVICE_TIME));
  fields.has_service_time = fields.service_time >= 0 || all_digits(AT(AFTER_DURATION) + 1, AT(AFTER_SERVICE_TIME));
  fields.whole = fields.service_time != -1;
  fields.agent = within_quotes(AT(AFTER_FORWARDED_FOR), AT(AFTER_AGENT));
  fields.id = within_quotes(AT(AFTER_AGENT), AT(AFTER_ID));
  fields.authority = within_quotes(AT(AFTER_ID), AT(AFTER_AUTHORITY));
  fields.local = between(AT(AFTER_CLUSTER) + 1, AT(AFTER_LOCAL));
  fields.host = within_quotes(AT(AFTER_AUTHORITY), AT(AFTER_HOST));
  fields.downstream_local = between(AT(AFTER_LOCAL) + 1, AT(AFTER_DOWNSTREAM_LOCAL));
  fields.peer = between(AT(AFTER_DOWNSTREAM_LOCAL) + 1, AT(AFTER_PEER));
  u32 signs, with_local = is_known_by_local(&fields);
  Bytes peer_host;
  /* It looks at the local and the peer's address too. */
  if (!signs_of(&fields, &signs, &peer_host)) return 0;

  Sum sum = sum_of_signs(signs);
  add_span(&sum, method, (u32)(method_end - method), 0);
  add_span(&sum, protocol, (u32)(AT(AFTER_REASON) - protocol), 1);
  add_span(&sum, AT(AFTER_ID), cut[AFTER_CLUSTER] - cut[AFTER_ID], 2);
  add_span(&sum, AT(AFTER_PEER), (u32)(end - AT(AFTER_PEER)), 3);
  if (with_local) add_span(&sum, fields.downstream_local.at, fields.downstream_local.length, MOST_PIECES);
  Digest digest = digest_of_sum(&sum);
  Spelling *spelling = spelling_of(digest);
  if (!spelling) {
    if (!is_address(fields.host.at, fields.host.at + fields.host.length) || cut[AFTER_CLUSTER] == cut[AFTER_HOST] + 1 ||
        cut[AFTER_SERVER_NAME] == cut[AFTER_PEER] + 1 || AT(AFTER_SERVER_NAME) + 1 >= end)
      return 0;
    fields.pieces[0] = fields.method;
    fields.pieces[1] = between(protocol, AT(AFTER_REASON));
    fields.pieces[2] = between(AT(AFTER_ID), AT(AFTER_AUTHORITY));
    fields.pieces[3] = between(AT(AFTER_HOST), AT(AFTER_CLUSTER));
    fields.pieces[4] = between(AT(AFTER_PEER), end);
    fields.pieces_count = 5;
    spelling = new_spelling(&fields, signs, with_local, digest);
    if (!spelling) return 0;
  }
  return count_fields(&fields, spelling, peer_host);
#undef AT
}

/* ---- JSON ---- */

/* The fields by their number in scanner.ts. */
enum { TIME, METHOD, TARGET, PROTOCOL, CODE, FLAGS, DETAILS, TERMINATION, REASON, RECEIVED, SENT, LASTED, SERVICE_TIME, USER_AGENT,
  ID, AUTHORITY, UPSTREAM_HOST, CLUSTER, LOCAL, DOWNSTREAM_LOCAL, DOWNSTREAM_PEER, SERVER_NAME, ROUTE, FIELDS };

#define MOST_MEMBERS 64
#define MOST_LAYOUTS 16
#define MOST_JSON_QUOTES (4 * MOST_MEMBERS)
/* How often the host is asked for a layout before lines of another one are just handed over. */
#define MOST_ASKED 256

/* The keys of a line in their order, each as `"key":`. */
typedef struct {
  u32 members;
  u32 at[MOST_MEMBERS];
  u32 length[MOST_MEMBERS];
  int32_t field[MOST_MEMBERS];
} Layout;

static Layout layouts[MOST_LAYOUTS];
static u32 layout_count;
static u32 layout_last;
static u32 layouts_asked;
static u8 layout_text[MOST_LAYOUTS * 2048];
static u32 layout_text_used;

/* The next member of the layout that the host was asked for: its key stands at `start`; `field` is -1 for one that does not count. */
EXPORT(add_member) void add_member(u32 start, u32 length, int32_t field) {
  Layout *layout = &layouts[layout_count];
  if (layout->members == MOST_MEMBERS || layout_text_used + length + 32 > sizeof layout_text) {
    layout->members = MOST_MEMBERS + 1;
    return;
  }
  if (layout->members > MOST_MEMBERS) return;
  u32 member = layout->members++;
  layout->at[member] = layout_text_used;
  layout->length[member] = length;
  layout->field[member] = field;
  __builtin_memcpy(layout_text + layout_text_used, (const u8 *)start, length);
  layout_text_used += length;
}

typedef struct {
  /* With its quotes, and without. */
  Bytes raw, text;
} Value;


/* Reads a line by a layout; 0 where it has another one, or a value that is no plain string, whole number or null. */
static inline int read_members(const Layout *layout, const u8 *line, const u8 *end, const u32 *cut, u32 quotes, Value *found) {
  const u8 *at = line + 1;
  u32 next = 0;
  for (u32 i = 0; i < layout->members; i++) {
    u32 length = layout->length[i];
    if (at + length >= end || next + 2 > quotes || line + cut[next] != at ||
        !same(layout_text + layout->at[i], at, length))
      return 0;
    at += length;
    next += 2;
    Value value;
    if (*at == '"') {
      if (next + 2 > quotes) return 0;
      const u8 *close = line + cut[next + 1];
      next += 2;
      value.raw = between(at, close + 1);
      value.text = between(at + 1, close);
      at = close + 1;
    } else {
      const u8 *from = at;
      if (word32_at(at) == 0x6c6c756eu) {
        at += 4;
        value.text = between(NULL_TEXT, NULL_TEXT + 1);
      } else {
        while (is_digit(*at)) at++;
        if (at == from || (*from == '0' && at > from + 1)) return 0;
        value.text = between(from, at);
      }
      value.raw = between(from, at);
    }
    if (*at != (i + 1 == layout->members ? '}' : ',')) return 0;
    at++;
    int32_t field = layout->field[i];
    if (field >= 0) found[field] = value;
  }
  return at == end && next == quotes;
}

static inline int is_absent(const Value *value) { return value->raw.length == 0; }
static inline int is_quoted(const Value *value) { return *value->raw.at == '"' || *value->raw.at == 'n'; }

static inline int is_number(const Value *value) { return value->raw.length > 0 && *value->raw.at != '"'; }

/* A whole number, as JSON or as text; -2 for none, -1 for anything else. */
static inline int32_t number_of(const Value *value) {
  return is_null(value->text) ? -2 : digits(value->text.at, value->text.at + value->text.length);
}

static int count_json(const u8 *line, const u8 *end, const u32 *cut, u32 quotes) {
  Value found[FIELDS];
  for (u32 i = 0; i < FIELDS; i++) {
    found[i].raw = between(ABSENT, ABSENT);
    found[i].text = between(ABSENT, ABSENT + 1);
  }
  if (layout_last >= layout_count || !read_members(&layouts[layout_last], line, end, cut, quotes, found)) {
    u32 i = 0;
    while (i < layout_count && !read_members(&layouts[i], line, end, cut, quotes, found)) i++;
    if (i == layout_count) {
      if (layout_count == MOST_LAYOUTS || layouts_asked++ > MOST_ASKED) return 0;
      layouts[i].members = 0;
      u32 used = layout_text_used;
      if (!layout((u32)line, (u32)end) || layouts[i].members > MOST_MEMBERS) {
        layout_text_used = used;
        return 0;
      }
      layout_count++;
      if (!read_members(&layouts[i], line, end, cut, quotes, found)) return 0;
    }
    layout_last = i;
  }
  /* A number where a text belongs is spelled by the host. */
  static const u8 texts[] = {TIME, METHOD, TARGET, PROTOCOL, USER_AGENT, ID, AUTHORITY, UPSTREAM_HOST, LOCAL, DOWNSTREAM_PEER};
  for (u32 i = 0; i < sizeof texts; i++)
    if (!is_absent(&found[texts[i]]) && !is_quoted(&found[texts[i]])) return 0;
  if (found[TIME].text.length != 24) return 0;
  Fields fields;
  fields.received = number_of(&found[RECEIVED]);
  fields.sent = number_of(&found[SENT]);
  fields.duration = number_of(&found[LASTED]);
  fields.service_time = number_of(&found[SERVICE_TIME]);
  if (fields.sent == -1 || fields.duration == -1 || fields.duration >= LONGEST_DURATION) return 0;
  fields.line = line;
  fields.end = end;
  fields.time = found[TIME].text.at;
  fields.method = found[METHOD].text;
  fields.path = found[TARGET].text;
  fields.protocol = found[PROTOCOL].text;
  Bytes waited = found[SERVICE_TIME].text;
  fields.has_service_time = all_digits(waited.at, waited.at + waited.length);
  /* As Envoy writes them: whole numbers, but the service time, a header, as text. */
  fields.whole = is_number(&found[RECEIVED]) && is_number(&found[SENT]) && is_number(&found[LASTED]) &&
                 is_quoted(&found[SERVICE_TIME]) && fields.received != -1 && fields.service_time != -1;
  if (!fields.has_service_time && is_there(waited)) return 0;
  fields.agent = found[USER_AGENT].text;
  fields.id = found[ID].text;
  fields.authority = found[AUTHORITY].text;
  fields.host = found[UPSTREAM_HOST].text;
  fields.local = found[LOCAL].text;
  fields.downstream_local = found[DOWNSTREAM_LOCAL].text;
  fields.peer = found[DOWNSTREAM_PEER].text;
  u32 signs, with_local = is_known_by_local(&fields);
  Bytes peer_host;
  if (!signs_of(&fields, &signs, &peer_host)) return 0;

  static const u8 kind[] = {METHOD, PROTOCOL, CODE, FLAGS, DETAILS, TERMINATION, REASON, AUTHORITY, CLUSTER, SERVER_NAME, ROUTE};
  Sum sum = sum_of_signs(signs);
  for (u32 i = 0; i < sizeof kind; i++) add_span(&sum, found[kind[i]].raw.at, found[kind[i]].raw.length, i);
  add_span(&sum, fields.host.at, fields.host.length, sizeof kind);
  if (with_local) add_span(&sum, fields.downstream_local.at, fields.downstream_local.length, MOST_PIECES);
  Digest digest = digest_of_sum(&sum);
  Spelling *spelling = spelling_of(digest);
  if (!spelling) {
    for (u32 i = 0; i < sizeof kind; i++) fields.pieces[i] = found[kind[i]].raw;
    fields.pieces_count = sizeof kind;
    spelling = new_spelling(&fields, signs, with_local, digest);
    if (!spelling) return 0;
  }
  return count_fields(&fields, spelling, peer_host);
}

/* ---- lines ---- */

/* Writes where bits are set, `from` added; up to three places more are written. */
static inline void put_places(u32 *put, u64 mask, u32 from) {
  u32 count = ones(mask);
  for (u32 done = 0; done < count; done += 4) {
    /* Else the places would be counted from the end, which no instruction of the module can. */
    __asm__("" : "+r"(put));
#pragma clang loop unroll(full)
    for (u32 i = 0; i < 4; i++) {
      put[i] = from + first_of(mask);
      mask &= mask - 1;
    }
    put += 4;
  }
}

typedef struct {
  u32 length;
  u32 cuts;
  u32 quotes;
  /* Control bytes, and of JSON those that only the host may read. */
  u32 control;
} Shape;

/* A line of text: the blanks that no quotes enclose. */
static inline Shape shape_of_text(const u8 *line, u32 *cut) {
  const v128_t quote = wasm_i8x16_splat('"'), blank = wasm_i8x16_splat(' '), newline = wasm_i8x16_splat('\n');
  Shape shape = {0, 0, 0, 0};
  u64 inside = 0;
  for (u32 at = 0;; at += 64) {
    Block block = block_at(line + at);
    u64 q = where(block, quote), s = where(block, blank), end = 0;
    if (any_below(block, blank)) {
      end = where(block, newline);
      u64 before = end ? (end & -end) - 1 : ~0ull;
      q &= before;
      s &= before;
      shape.control += ones(where_below(block, blank) & before);
    }
    u64 in = q;
    in ^= in << 1;
    in ^= in << 2;
    in ^= in << 4;
    in ^= in << 8;
    in ^= in << 16;
    in ^= in << 32;
    in ^= inside;
    inside = (u64)((int64_t)in >> 63);
    u64 cuts = s & ~in;
    shape.quotes += ones(q);
    if (shape.cuts <= SEPARATORS) put_places(cut + shape.cuts, cuts, at);
    shape.cuts += ones(cuts);
    if (end) {
      shape.length = at + first_of(end);
      return shape;
    }
  }
}

/* A line of JSON: its quotes. */
static inline Shape shape_of_json(const u8 *line, u32 *cut) {
  const v128_t quote = wasm_i8x16_splat('"'), escape = wasm_i8x16_splat('\\'), newline = wasm_i8x16_splat('\n'),
               blank = wasm_i8x16_splat(' ');
  Shape shape = {0, 0, 0, 0};
  for (u32 at = 0;; at += 64) {
    Block block = block_at(line + at);
    u64 end = 0, before = ~0ull;
    if (any_below(block, blank)) {
      end = where(block, newline);
      if (end) before = (end & -end) - 1;
      shape.control += ones(where_below(block, blank) & before);
    }
    u64 q = where(block, quote) & before;
    /* What is no ASCII may be no UTF-8: such bytes have their highest bit set, as all of a comparison that is true has. */
    v128_t escapes = wasm_v128_or(wasm_v128_or(wasm_i8x16_eq(block.a, escape), wasm_i8x16_eq(block.b, escape)),
                                  wasm_v128_or(wasm_i8x16_eq(block.c, escape), wasm_i8x16_eq(block.d, escape)));
    v128_t bytes = wasm_v128_or(wasm_v128_or(block.a, block.b), wasm_v128_or(block.c, block.d));
    if (wasm_i8x16_bitmask(wasm_v128_or(escapes, bytes)) &&
        (where(block, escape) | mask_of(block.a, block.b, block.c, block.d)) & before)
      shape.control += 2;
    if (shape.cuts <= MOST_JSON_QUOTES) put_places(cut + shape.cuts, q, at);
    shape.cuts += ones(q);
    if (end) {
      shape.length = at + first_of(end);
      return shape;
    }
  }
}

EXPORT(is_full) u32 is_full(void) {
  return pages_used > MOST_PAGES || arena_used > MOST_TEXT || spellings_count > MOST_SPELLINGS ||
         heap_end - heap_floor > MOST_BYTES;
}

/*
 * Reads the lines in `[from, to)`. Answers where it stopped: at the first byte of a line that has no end there, or before, where
 * tables are full (`is_full`).
 */
EXPORT(scan) u32 scan(u32 from, u32 to) {
  *(u8 *)to = '\n';
  static u32 cut[MOST_JSON_QUOTES + 80];
  while (from < to) {
    if (is_full()) break;
    const u8 *line = (const u8 *)from;
    int json = *line == '{';
    Shape shape = json ? shape_of_json(line, cut) : shape_of_text(line, cut);
    if (from + shape.length >= to) break;
    lines++;
    const u8 *end = line + shape.length;
    if (shape.control == 1 && end[-1] == '\r') {
      shape.control = 0;
      end--;
    }
    int read = shape.control == 0 && (u32)(end - line) <= longest_line;
    if (json) read = read && shape.cuts <= MOST_JSON_QUOTES && count_json(line, end, cut, shape.cuts);
    else
      read = read && shape.cuts == SEPARATORS && shape.quotes == QUOTES && !(end[-1] == 'n' && end[-2] == '\\') &&
             count_text(line, end, cut);
    if (!read) other(from, from + shape.length);
    from += shape.length + 1;
  }
  /* Their bytes are gone when the next ones come. */
  count_peers();
  return from;
}

/* ---- what was counted ---- */

/* Adds what was counted by spelling to the kinds and their upstream hosts: once, before anybody asks what was counted. */
EXPORT(settle) void settle(void) {
  for (u32 i = 0; i < spellings_count; i++) {
    const Spelling *here = &spellings[i];
    Key *key = &keys[here->key];
    key->count += here->count;
    if (here->first < key->first) key->first = here->first;
    if (here->last > key->last) key->last = here->last;
    if (here->count && here->host && (key->answer & COUNTS))
      count_value((((u32)key->answer >> CELL_SHIFT) << KINDS_SHIFT) | HOST, here->host - 1, here->count);
  }
}

EXPORT(key_count) u32 key_count(void) { return keys_count; }
EXPORT(keys_at) u32 keys_at(void) { return (u32)keys; }
EXPORT(cells_and_kinds) u32 cells_and_kinds(void) { return counts.used; }

/* The values of one cell and kind and how often it had each, side by side. */
static u32 *gathered_values;
static double *gathered_counts;

/* Which of 16 values a cell had: `number` of 16. */
static inline u32 some_of(u32 cell_and_kind, u32 number) {
  const u8 *page = page_of(&counts, cell_and_kind, number * 16 / PAGE);
  if (!page) return 0;
  u32 some = wasm_i8x16_bitmask(wasm_i8x16_ne(wasm_v128_load(page + number * 16 % PAGE), wasm_i8x16_splat(0)));
  const u32 *carried = page_of(&carries, cell_and_kind, number * 16 / CARRIES);
  if (carried)
    for (u32 i = 0; i < 16; i++) some |= (u32)(carried[i] != 0) << i;
  return some;
}

static inline u32 sixteens_of(u32 cell_and_kind) { return counts.of[cell_and_kind].size * (PAGE / 16); }

/* Makes room for what is gathered; answers how many values there are in all. */
EXPORT(count_values) u32 count_values(void) {
  u32 all = 0, most = 0;
  for (u32 i = 0; i < counts.used; i++) {
    u32 before = all;
    for (u32 number = 0; number < sixteens_of(i); number++) all += ones(some_of(i, number));
    if (all - before > most) most = all - before;
  }
  gathered_values = (u32 *)room(most * 4);
  gathered_counts = (double *)room(most * 8);
  return all;
}

/* Answers how many values a cell has of a kind. */
EXPORT(gather) u32 gather(u32 cell_and_kind) {
  u32 count = 0;
  for (u32 number = 0; number < sixteens_of(cell_and_kind); number++) {
    u32 some = some_of(cell_and_kind, number);
    if (!some) continue;
    const u8 *page = page_of(&counts, cell_and_kind, number * 16 / PAGE);
    const u32 *carried = page_of(&carries, cell_and_kind, number * 16 / CARRIES);
    for (; some; some &= some - 1) {
      u32 value = number * 16 + first_of(some);
      gathered_values[count] = value;
      gathered_counts[count++] = page[value % PAGE] + (carried ? carried[value % CARRIES] : 0);
    }
  }
  return count;
}

EXPORT(gathered_values_at) u32 gathered_values_at(void) { return (u32)gathered_values; }
EXPORT(gathered_counts_at) u32 gathered_counts_at(void) { return (u32)gathered_counts; }
EXPORT(text_count) u32 text_count(u32 kind) { return values[kind].count; }
EXPORT(texts_at) u32 texts_at(u32 kind) { return (u32)values[kind].texts; }
EXPORT(arena_at) u32 arena_at(void) { return (u32)arena; }
/* Of what was scanned since `begin`: how many lines, and of those that were counted here how many and between which times. */
EXPORT(line_count) u32 line_count(void) { return lines; }
EXPORT(counted_lines) u32 counted_lines(void) { return counted; }
EXPORT(first_at) double first_at(void) { return first_time; }
EXPORT(last_at) double last_at(void) { return last_time; }
