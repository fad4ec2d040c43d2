/* What the host answers, how much is held of what, and memory. */

#include <stdint.h>
#include <wasm_simd128.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

#define IMPORT(name) __attribute__((import_module("host"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

/* A key that is new: `bytes[start, end)` is a line of it. Answers its cell and signs, or a negative number for a line
 * that is to be handed over each time. */
IMPORT(met) extern int32_t met(u32 start, u32 end, u32 stream);
/* Names that are new in front of lines: the host says whose those are (`name_prefix`), or nothing where it is to read them. */
IMPORT(prefix) extern void prefix(u32 start, u32 end);
/* A line of JSON with keys that are new: the host adds their members; 0 where lines like it are to be handed over. */
IMPORT(layout) extern u32 layout(u32 start, u32 end);
/* A line that is not read here. */
IMPORT(other) extern void other(u32 start, u32 end);
/* A line that is to be kept, and for which there is no room here. */
IMPORT(keep) extern void keep(u32 start, u32 end, u32 hash, u32 cell, u32 stream);
/* Too many lines are kept: the host says which are not, or takes them over; `failing`: 1 or 0. */
IMPORT(full) extern void full(u32 failing);
/* ms since the Unix epoch of the 24 bytes at `start`; NaN where they are no time. */
IMPORT(time_of) extern double time_of(u32 start);

/* Signs in the host's answer, below the cell. */
#define FAILING 1
#define ANSWERS 2
#define COUNTS 4
#define DOWNSTREAM 8
#define FOR_ALL 16
#define CELL_SHIFT 5

/* Signs of a key, as aggregate/tally.ts derives them of a record. */
#define HAS_PATH 1
#define NO_SERVICE_TIME 2
#define CALLS_OWN_APP 4
#define FROM_OWN_POD 64
#define FROM_ELSEWHERE 128
/* Of a key without what clients chose. */
#define BARE 256

#define HOST 0
#define PEER 1
#define PATH 2
#define AGENT 3
#define KINDS 4
#define DURATION 4
#define KINDS_SHIFT 3

/* Cells have lower numbers. */
#define MOST_CELLS (1 << 17)

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
