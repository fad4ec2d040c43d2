/*
 * Finds, in bytes that lie in this module's memory, the lines of Istio's text and JSON layouts that stand exactly as Envoy
 * writes them, and counts them; every other line is handed to the host as it stands. Of a line the bytes that tell its kind
 * (method, protocol, code to transport failure, authority, cluster, server name and route, and signs) make one key, counted
 * once; the first line of each key is shown to the host, which parses it and answers what is to be done with all of its
 * kind. What takes many values (upstream host, downstream peer, path, user agent, duration) is counted by the cell that the
 * host told.
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
/* A line that is to be kept; `failing`: 1 or 0. */
IMPORT(keep) extern void keep(u32 start, u32 end, u32 hash, u32 failing);
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
#define MOST_PAGES 300000
#define MOST_TEXT (8u << 20)

/* ---- memory ---- */

extern u8 __heap_base;
static u32 heap_end;

static u32 room(u32 bytes) {
  u32 at = (heap_end + 63) & ~63u;
  heap_end = at + bytes + 64;
  u32 pages = (heap_end + 65535) >> 16;
  u32 have = __builtin_wasm_memory_size(0);
  if (pages > have && __builtin_wasm_memory_grow(0, pages - have) == (u32)-1) __builtin_trap();
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

/* Bytes behind an end are read and not regarded: what is to stay of 32 bytes begins `32 - length` bytes into this. */
static const u8 KEPT[64] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                            255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

/* 32 bytes by four multiplications that need not wait for each other. */
static inline u64 product_of(v128_t a, v128_t b) {
  return (u64)wasm_i64x2_extract_lane(a, 0) * 0x9e3779b97f4a7c15ull ^ (u64)wasm_i64x2_extract_lane(a, 1) * 0xc2b2ae3d27d4eb4full ^
         (u64)wasm_i64x2_extract_lane(b, 0) * 0xd6e8feb86659fd93ull ^ (u64)wasm_i64x2_extract_lane(b, 1) * 0xa0761d6478bd642full;
}

static inline u64 hash_of(const u8 *at, u32 length) {
  u64 hash = length;
  for (; length > 32; length -= 32, at += 32) {
    u64 product = product_of(wasm_v128_load(at), wasm_v128_load(at + 16));
    hash = stirred(hash, product ^ (product >> 32));
  }
  const u8 *kept = KEPT + 32 - length;
  u64 product = product_of(wasm_v128_and(wasm_v128_load(at), wasm_v128_load(kept)),
                           wasm_v128_and(wasm_v128_load(at + 16), wasm_v128_load(kept + 16)));
  return stirred(hash, product ^ (product >> 32));
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
  u64 hash;
  u32 at;
  u32 length;
} Text;

typedef struct {
  u32 count;
  u32 mask;
  u32 *slots;
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
  texts->slots = (u32 *)room(slots * 4);
  texts->texts = (Text *)room(slots / 2 * sizeof(Text));
  __builtin_memset(texts->slots, 0, slots * 4);
}

static void widen_texts(Texts *texts) {
  Texts old = *texts;
  clear_texts(texts, (old.mask + 1) * 2);
  texts->count = old.count;
  __builtin_memcpy(texts->texts, old.texts, old.count * sizeof(Text));
  for (u32 i = 0; i < old.count; i++) {
    u32 slot = (u32)(old.texts[i].hash >> 20) & texts->mask;
    while (texts->slots[slot]) slot = (slot + 1) & texts->mask;
    texts->slots[slot] = i + 1;
  }
}

static inline u32 id_of_hashed(Texts *texts, Bytes bytes, u64 hash) {
  const u8 *at = bytes.at;
  u32 length = bytes.length;
  u32 slot = (u32)(hash >> 20) & texts->mask;
  for (u32 held = texts->slots[slot]; held; held = texts->slots[slot]) {
    Text *text = &texts->texts[held - 1];
    if (text->hash == hash && text->length == length && same(arena + text->at, at, length)) return held - 1;
    slot = (slot + 1) & texts->mask;
  }
  u32 id = texts->count++;
  texts->texts[id].hash = hash;
  texts->texts[id].length = length;
  texts->texts[id].at = put_text(at, length);
  texts->slots[slot] = id + 1;
  if (texts->count * 2 > texts->mask) widen_texts(texts);
  return id;
}

static inline u32 id_of(Texts *texts, Bytes bytes) { return id_of_hashed(texts, bytes, hash_of(bytes.at, bytes.length)); }

/*
 * How often a cell had each value, in pages of 16 counts, one for every 16 values of which the cell had one: values are
 * numbered as they come, so that those of a cell lie close together, and a count is found without a search.
 */
#define PAGE 16
#define SLAB 1024

typedef struct {
  /* Where the counts of 16 values lie; 0: the cell had none of them. */
  u32 **pages;
  u32 size;
} Directory;

static Directory *directories;
static u32 directories_size;
/* One past the last that has pages. */
static u32 directories_used;
static u32 pages_used;
static u32 *free_page;
static u32 free_pages;

static void widen_directories(u32 wanted) {
  u32 size = directories_size * 2 > wanted ? directories_size * 2 : wanted + 1;
  Directory *wider = (Directory *)room(size * sizeof(Directory));
  __builtin_memset(wider, 0, size * sizeof(Directory));
  __builtin_memcpy(wider, directories, directories_size * sizeof(Directory));
  directories = wider;
  directories_size = size;
}

static u32 *new_page(u32 cell_and_kind, u32 number) {
  Directory *directory = &directories[cell_and_kind];
  if (cell_and_kind >= directories_used) directories_used = cell_and_kind + 1;
  if (number >= directory->size) {
    u32 size = directory->size * 2 > number + 4 ? directory->size * 2 : number + 4;
    u32 **wider = (u32 **)room(size * sizeof(u32 *));
    __builtin_memset(wider, 0, size * sizeof(u32 *));
    __builtin_memcpy(wider, directory->pages, directory->size * sizeof(u32 *));
    directory->pages = wider;
    directory->size = size;
  }
  if (!free_pages) {
    free_page = (u32 *)room(SLAB * PAGE * 4);
    free_pages = SLAB;
  }
  u32 *page = free_page;
  free_page += PAGE;
  free_pages--;
  pages_used++;
  __builtin_memset(page, 0, PAGE * 4);
  return directory->pages[number] = page;
}

static inline void count_value(u32 cell_and_kind, u32 value) {
  if (cell_and_kind >= directories_size) widen_directories(cell_and_kind);
  Directory *directory = &directories[cell_and_kind];
  u32 number = value / PAGE;
  u32 *page = number < directory->size ? directory->pages[number] : 0;
  if (!page) page = new_page(cell_and_kind, number);
  page[value % PAGE]++;
}

/*
 * Peers are many, and where they are counted lies in no cache. Looked up a batch at once, the processor waits for many
 * places at the same time.
 */
#define BATCH 64
typedef struct {
  Bytes host;
  u64 hash;
  u32 cell_and_kind;
  u32 value;
} Peer;
static Peer peers[BATCH];
static u32 peers_waiting;

static void count_peers(void) {
  for (u32 i = 0; i < peers_waiting; i++) peers[i].value = id_of_hashed(&values[PEER], peers[i].host, peers[i].hash);
  for (u32 i = 0; i < peers_waiting; i++) count_value(peers[i].cell_and_kind, peers[i].value);
  peers_waiting = 0;
}

static inline void count_peer(u32 cell_and_kind, Bytes host) {
  Peer *peer = &peers[peers_waiting++];
  peer->host = host;
  peer->hash = hash_of(host.at, host.length);
  peer->cell_and_kind = cell_and_kind;
  if (peers_waiting == BATCH) count_peers();
}

/* The kinds of lines that were met. */
typedef struct {
  u64 hash;
  u32 text;
  u32 length;
  int32_t answer;
  u32 count;
  double first;
  double last;
  u32 stream;
  u32 signs;
} Key;

static Key *keys;
static u32 keys_count;
static u32 key_slots[2 * MOST_KEYS];

/* ---- what the host sets and reads ---- */

static u32 stream;
static u32 stream_hash;
static u64 keep_below[2];
static double first_time;
static double last_time;
static u32 counted;
static u32 lines;
static u32 longest_line;

/* Request ids (their hashes) that are on too many lines to be kept or dropped together. */
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

/* What follows is of another source, or another part of one. */
EXPORT(begin) void begin(u32 number, u32 hash) {
  stream = number;
  stream_hash = hash;
  counted = 0;
  lines = 0;
  first_time = __builtin_inf();
  last_time = -__builtin_inf();
}

/* Lines with a hash below are kept. */
EXPORT(keep_lines) void keep_lines(u32 failing, double below) { keep_below[failing] = (u64)below; }

/* The minute of the time that was read last, as it was written and in ms since the Unix epoch. */
static u8 minute[32];
static double minute_ms;

static u32 input;

/* Forgets all that was counted, and its memory. `size`: bytes to be read at once; longer lines than `longest` are not read
 * here. Answers where the bytes go. */
EXPORT(clear) u32 clear(u32 size, u32 longest_allowed) {
  longest_line = longest_allowed;
  heap_end = (u32)&__heap_base;
  /* A line is read in steps of 64 bytes. */
  input = room(size + 128);
  arena_size = 1 << 20;
  arena_used = 0;
  arena = (u8 *)room(arena_size);
  for (u32 kind = 0; kind < KINDS; kind++) clear_texts(&values[kind], 1 << 12);
  directories_size = 1024;
  directories_used = 0;
  directories = (Directory *)room(directories_size * sizeof(Directory));
  __builtin_memset(directories, 0, directories_size * sizeof(Directory));
  pages_used = 0;
  free_pages = 0;
  keys = (Key *)room(MOST_KEYS * sizeof(Key));
  keys_count = 0;
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

/* The host of an address, `10.0.0.1:80` or `[fd00::1]:80`; 0 for one of another kind. */
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
    return 1;
  }
  if (*at != '[') return 0;
  const u8 *close = at + 1;
  while (close < end && *close != ']') close++;
  if (close == end) return 0;
  host->at = at + 1;
  host->length = (u32)(close - at - 1);
  return 1;
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
  return wasm_v128_any_true(wasm_u8x16_lt(least, byte));
}

static inline u32 ones(u64 mask) { return (u32)__builtin_popcountll(mask); }
/* 64 for none, as the instruction has it. */
static inline u32 first_of(u64 mask) { return (u32)__builtin_ctzll(mask); }

static u8 template[2 * LONGEST_PATH];

/* A path with its ids replaced; 0 for one that is too long. */
static inline int template_of(Bytes whole, Bytes *path) {
  const u8 *at = whole.at, *end = at + whole.length;
  u32 used = 0;
  const u8 *segment = at;
  u32 digit = 0;
  const u8 *from = at;
  for (;; at++) {
    u8 byte = at < end ? *at : '?';
    if (is_digit(byte)) {
      digit++;
      continue;
    }
    if (byte != '/' && byte != '?') continue;
    if (at - from > LONGEST_PATH - 1) return 0;
    u32 length = (u32)(at - segment);
    const char *put = 0;
    u32 put_length = 0;
    if (length > 0 && digit == length) {
      put = "{n}";
      put_length = 3;
    } else if (length >= 8 && (digit > 0 || length == 36)) {
      int id = id_like(segment, length);
      if (id) {
        put = id == 1 ? "{uuid}" : "{id}";
        put_length = id == 1 ? 6 : 4;
      }
    }
    if (put) for (u32 i = 0; i < put_length; i++) template[used++] = (u8)put[i];
    else for (u32 i = 0; i < length; i++) template[used++] = segment[i];
    if (byte == '?') break;
    template[used++] = '/';
    segment = at + 1;
    digit = 0;
  }
  path->at = template;
  path->length = used;
  return 1;
}

#define MOST_PIECES 12

/* What is counted of a line. A field that is not there, or null, is `-`. */
typedef struct {
  const u8 *line, *end;
  /* 24 bytes. */
  const u8 *time;
  Bytes method, path, protocol, authority, host, local, peer, agent, id;
  /* Milliseconds; -2 for none. */
  int32_t duration;
  int32_t sent;
  u32 has_service_time;
  /* What makes the line's kind; the last one, the downstream local address, where nothing else tells what was meant. */
  Bytes pieces[MOST_PIECES];
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
  if (at[23] != 'Z' || at[19] != '.' || !is_digit(at[17]) || !is_digit(at[18]) || !is_digit(at[20]) || !is_digit(at[21]) ||
      !is_digit(at[22]))
    return __builtin_nan("");
  int32_t second = (at[17] - 48) * 10 + (at[18] - 48);
  int32_t ms = second * 1000 + (at[20] - 48) * 100 + (at[21] - 48) * 10 + (at[22] - 48);
  if (second > 60) return __builtin_nan("");
  if (!same(at, minute, 17)) {
    double time = time_of((u32)at);
    if (time != time || at[0] != '2' || at[1] != '0') return __builtin_nan("");
    minute_ms = time - ms;
    __builtin_memcpy(minute, at, 17);
  }
  return minute_ms + ms;
}

/* Counts a line; 0 where it is to be handed over. */
static inline __attribute__((always_inline)) int count_fields(const Fields *fields, u32 pieces) {
  double time = time_at(fields->time);
  if (time != time) return 0;
  Bytes peer_host = {0, 0}, local_host, path;
  int has_peer = !is_null(fields->peer), has_path = is_there(fields->path);
  if (has_peer && !host_of(fields->peer, &peer_host)) return 0;
  if (has_path && !template_of(fields->path, &path)) return 0;
  u32 signs = (has_path ? HAS_PATH : 0) | (fields->has_service_time ? 0 : NO_SERVICE_TIME);
  if (!is_null(fields->local)) {
    if (calls_own_app(fields->local)) signs |= CALLS_OWN_APP;
    if (!host_of(fields->local, &local_host)) return 0;
    if (has_peer)
      signs |= local_host.length == peer_host.length && same(local_host.at, peer_host.at, peer_host.length)
                   ? FROM_OWN_POD
                   : FROM_ELSEWHERE;
  }

  /* The kind of line. */
  u64 hash = signs | (u64)stream << 32;
  u32 length = 0;
  if (!(has_path || is_there(fields->method) || is_there(fields->protocol) || is_there(fields->authority))) pieces++;
  const Bytes *piece = fields->pieces;
  for (u32 i = 0; i < pieces; i++) {
    hash = stirred(hash, hash_of(piece[i].at, piece[i].length));
    length += piece[i].length;
  }
  Key *key = 0;
  u32 slot = (u32)(hash >> 20) & (2 * MOST_KEYS - 1);
  for (u32 held = key_slots[slot]; held; held = key_slots[slot]) {
    Key *here = &keys[held - 1];
    if (here->hash == hash && here->length == length && here->signs == signs && here->stream == stream) {
      const u8 *text = arena + here->text;
      u32 i = 0;
      for (; i < pieces && same(text, piece[i].at, piece[i].length); i++) text += piece[i].length;
      if (i == pieces) {
        key = here;
        break;
      }
    }
    slot = (slot + 1) & (2 * MOST_KEYS - 1);
  }
  if (!key) {
    if (keys_count == MOST_KEYS) return 0;
    int32_t answer = met((u32)fields->line, (u32)fields->end);
    key = &keys[keys_count++];
    key->hash = hash;
    key->length = length;
    key->signs = signs;
    key->stream = stream;
    key->answer = answer;
    key->count = 0;
    key->first = __builtin_inf();
    key->last = -__builtin_inf();
    for (u32 i = 0; i < pieces; i++) {
      u32 at = put_text(piece[i].at, piece[i].length);
      if (i == 0) key->text = at;
    }
    key_slots[slot] = keys_count;
  }
  int32_t answer = key->answer;
  if (answer < 0) return 0;
  key->count++;
  counted++;
  if (time < first_time) first_time = time;
  if (time > last_time) last_time = time;

  u32 failing = answer & FAILING, duration = (u32)fields->duration;
  if (answer & COUNTS) {
    u32 base = ((u32)answer >> CELL_SHIFT) << KINDS_SHIFT;
    if (!is_null(fields->host)) count_value(base | HOST, id_of(&values[HOST], fields->host));
    if (has_peer) count_peer(base | PEER, peer_host);
    if (has_path) count_value(base | PATH, id_of(&values[PATH], path));
    if (!is_null(fields->agent)) count_value(base | AGENT, id_of(&values[AGENT], fields->agent));
    if (fields->duration >= 0) {
      if (answer & ANSWERS) count_value(DURATION, duration);
      if (failing) count_value(base | DURATION, duration);
    }
    if (failing) {
      if (time < key->first) key->first = time;
      if (time > key->last) key->last = time;
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
  if (keep_hash < keep_below[failing]) keep((u32)fields->line, (u32)fields->end, keep_hash, failing);
  return 1;
}

/* ---- text ---- */

#define SEPARATORS 35
#define QUOTES 14

/*
 * [time] "method path protocol" code flags details termination "reason" received sent duration service-time
 * "forwarded-for" "agent" "id" "authority" "host" cluster local downstream-local peer server-name route
 *
 * A line whose separators, all quotes and the blanks that no quotes enclose, stand at `cut`; 0 where it is none of these.
 */
static inline int count_text(const u8 *line, const u8 *end, const u32 *cut) {
#define AT(i) (line + cut[i])
  /* Quotes, each beside the blank that its field begins or ends with. */
  if (cut[0] != 26 || cut[1] != 27 || cut[3] != cut[2] + 1 || cut[8] != cut[7] + 1 || cut[10] != cut[9] + 1 ||
      cut[15] != cut[14] + 1 || cut[17] != cut[16] + 1 || cut[18] != cut[17] + 1 || cut[20] != cut[19] + 1 ||
      cut[21] != cut[20] + 1 || cut[23] != cut[22] + 1 || cut[24] != cut[23] + 1 || cut[26] != cut[25] + 1 ||
      cut[27] != cut[26] + 1 || cut[29] != cut[28] + 1)
    return 0;
  if (*AT(1) != '"' || *AT(2) != '"' || *AT(8) != '"' || *AT(9) != '"' || *AT(15) != '"' || *AT(16) != '"' ||
      *AT(18) != '"' || *AT(19) != '"' || *AT(21) != '"' || *AT(22) != '"' || *AT(24) != '"' || *AT(25) != '"' ||
      *AT(27) != '"' || *AT(28) != '"')
    return 0;
  if (line[0] != '[' || line[25] != ']') return 0;

  const u8 *method = AT(1) + 1, *close = AT(2), *protocol;
  if (cut[2] < cut[1] + 6) return 0;
  if (close[-1] == '-' && close[-2] == ' ') protocol = close - 1;
  else if (close - method > 9 && close[-9] == ' ' && word_at(close - 8) >> 8 == 0x312e312f505454ull && close[-8] == 'H')
    protocol = close - 8;
  else if (close - method > 7 && close[-7] == ' ' && word32_at(close - 6) == 0x50545448u && close[-2] == '/' && close[-1] > ' ')
    protocol = close - 6;
  else return 0;
  const u8 *method_end = method;
  while (*method_end != ' ') method_end++;
  if (protocol - 1 < method_end + 1) return 0;

  Fields fields;
  fields.sent = digits(AT(11) + 1, AT(12));
  fields.duration = is_dash(AT(12) + 1, AT(13)) ? -2 : digits(AT(12) + 1, AT(13));
  if (fields.sent < 0 || fields.duration == -1 || fields.duration >= LONGEST_DURATION || digits(AT(10) + 1, AT(11)) < 0 || cut[14] == cut[13] + 1) return 0;
  if (!is_address(AT(27) + 1, AT(28)) || !is_address(AT(30) + 1, AT(31)) || !is_address(AT(31) + 1, AT(32)) ||
      !is_address(AT(32) + 1, AT(33)))
    return 0;
  if (cut[30] == cut[29] + 1 || cut[34] == cut[33] + 1 || AT(34) + 1 >= end) return 0;

  fields.line = line;
  fields.end = end;
  fields.time = line + 1;
  fields.method = between(method, method_end);
  fields.path = between(method_end + 1, protocol - 1);
  fields.protocol = between(protocol, close);
  fields.has_service_time = all_digits(AT(13) + 1, AT(14));
  fields.agent = between(AT(18) + 1, AT(19));
  fields.id = between(AT(21) + 1, AT(22));
  fields.authority = between(AT(24) + 1, AT(25));
  fields.host = between(AT(27) + 1, AT(28));
  fields.local = between(AT(30) + 1, AT(31));
  fields.peer = between(AT(32) + 1, AT(33));
  /* Each with the separator behind it, so that no two lines spell the same. */
  fields.pieces[0] = between(method, method_end + 1);
  fields.pieces[1] = between(protocol, AT(9) + 1);
  fields.pieces[2] = between(AT(24) + 1, AT(26));
  fields.pieces[3] = between(AT(29) + 1, AT(30) + 1);
  fields.pieces[4] = between(AT(33) + 1, end);
  fields.pieces[5] = between(AT(31), AT(32));
  return count_fields(&fields, 5);
#undef AT
}

/* ---- JSON ---- */

/* The fields by their number in scanner.ts. */
enum { TIME, METHOD, TARGET, PROTOCOL, CODE, FLAGS, DETAILS, TERMINATION, REASON, SENT, LASTED, SERVICE_TIME, USER_AGENT,
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

static const u8 DASH[64] = "-";

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
        value.text = between(DASH, DASH + 1);
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

static inline int is_quoted(const Value *value) { return *value->raw.at == '"' || *value->raw.at == 'n'; }

/* A whole number, as JSON or as text; -2 for none, -1 for anything else. */
static inline int32_t number_of(const Value *value) {
  return is_null(value->text) ? -2 : digits(value->text.at, value->text.at + value->text.length);
}

static int count_json(const u8 *line, const u8 *end, const u32 *cut, u32 quotes) {
  Value found[FIELDS];
  for (u32 i = 0; i < FIELDS; i++) found[i].raw = between(DASH, DASH);
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
    if (!is_quoted(&found[texts[i]])) return 0;
  if (found[TIME].text.length != 24) return 0;
  Fields fields;
  fields.sent = number_of(&found[SENT]);
  fields.duration = number_of(&found[LASTED]);
  if (fields.sent == -1 || fields.duration == -1 || fields.duration >= LONGEST_DURATION) return 0;
  fields.line = line;
  fields.end = end;
  fields.time = found[TIME].text.at;
  fields.method = found[METHOD].text;
  fields.path = found[TARGET].text;
  fields.protocol = found[PROTOCOL].text;
  Bytes waited = found[SERVICE_TIME].text;
  fields.has_service_time = all_digits(waited.at, waited.at + waited.length);
  if (!fields.has_service_time && is_there(waited)) return 0;
  fields.agent = found[USER_AGENT].text;
  fields.id = found[ID].text;
  fields.authority = found[AUTHORITY].text;
  fields.host = found[UPSTREAM_HOST].text;
  fields.local = found[LOCAL].text;
  fields.peer = found[DOWNSTREAM_PEER].text;
  static const u8 kind[] = {METHOD, PROTOCOL, CODE, FLAGS, DETAILS, TERMINATION, REASON, AUTHORITY, CLUSTER, SERVER_NAME, ROUTE};
  for (u32 i = 0; i < sizeof kind; i++) fields.pieces[i] = found[kind[i]].raw;
  fields.pieces[sizeof kind] = found[DOWNSTREAM_LOCAL].raw;
  return count_fields(&fields, sizeof kind);
}

/* ---- lines ---- */

/* Writes where bits are set, `from` added; up to seven places more are written. */
static inline void put_places(u32 *put, u64 mask, u32 from) {
  u32 count = ones(mask);
  for (u32 done = 0; done < count; done += 8) {
    for (u32 i = 0; i < 8; i++) {
      put[done + i] = from + first_of(mask);
      mask &= mask - 1;
    }
  }
}

typedef struct {
  u32 length;
  u32 cuts;
  u32 quotes;
  /* Control bytes, and of JSON those that only the host may read. */
  u32 control;
} Shape;

/* A line of text: its quotes, and the blanks that no quotes enclose. */
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
    u64 cuts = q | (s & ~in);
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
    /* What is no ASCII may be no UTF-8. */
    u64 special = (where(block, escape) | mask_of(block.a, block.b, block.c, block.d)) & before;
    if (special) shape.control += 2;
    if (shape.cuts <= MOST_JSON_QUOTES) put_places(cut + shape.cuts, q, at);
    shape.cuts += ones(q);
    if (end) {
      shape.length = at + first_of(end);
      return shape;
    }
  }
}

/*
 * Reads the lines in `[from, to)`. Answers where it stopped: at the first byte of a line that has no end there, or before, where
 * tables are full (`is_full`).
 */
EXPORT(scan) u32 scan(u32 from, u32 to) {
  *(u8 *)to = '\n';
  static u32 cut[MOST_JSON_QUOTES + 80];
  while (from < to) {
    if (pages_used > MOST_PAGES || arena_used > MOST_TEXT) break;
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

EXPORT(is_full) u32 is_full(void) { return pages_used > MOST_PAGES || arena_used > MOST_TEXT; }
EXPORT(key_count) u32 key_count(void) { return keys_count; }
EXPORT(keys_at) u32 keys_at(void) { return (u32)keys; }
EXPORT(cells_and_kinds) u32 cells_and_kinds(void) { return directories_used; }

/* The values of one cell and kind and how often it had each, side by side. */
static u32 *gathered_values;
static double *gathered_counts;

/* Makes room for what is gathered; answers how many values there are in all. */
EXPORT(count_values) u32 count_values(void) {
  u32 all = 0, most = 0;
  for (u32 i = 0; i < directories_used; i++) {
    u32 before = all;
    for (u32 number = 0; number < directories[i].size; number++) {
      const u32 *page = directories[i].pages[number];
      if (page) for (u32 j = 0; j < PAGE; j++) all += page[j] != 0;
    }
    if (all - before > most) most = all - before;
  }
  gathered_values = (u32 *)room(most * 4);
  gathered_counts = (double *)room(most * 8);
  return all;
}

/* Answers how many values a cell has of a kind. */
EXPORT(gather) u32 gather(u32 cell_and_kind) {
  Directory directory = directories[cell_and_kind];
  u32 count = 0;
  for (u32 number = 0; number < directory.size; number++) {
    const u32 *page = directory.pages[number];
    if (!page) continue;
    for (u32 i = 0; i < PAGE; i++) {
      if (!page[i]) continue;
      gathered_values[count] = number * PAGE + i;
      gathered_counts[count++] = page[i];
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
