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
 * would have found the same fields. It may have names and a stamp in front. Nothing here may read a line otherwise.
 *
 * One unit in several files, each of which may use those before it. Built by scripts/build-scanner.mjs into module.ts; the
 * host's side is scanner.ts.
 */
#include "base.h"
#include "digest.h"
#include "values.h"
#include "kinds.h"
#include "state.h"
#include "bytes.h"
#include "fields.h"
#include "paths.h"
#include "kept.h"
#include "count.h"
#include "text.h"
#include "json.h"
#include "shapes.h"
#include "stamps.h"
#include "prefixes.h"

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
    Wrapper prefix = {NONE, 0}, stamp = {NONE, 0};
    if (!is_line_start(line)) {
      if (*line != '2') prefix = prefix_of(line);
      line += prefix.length;
      stamp = stamp_of(line);
      line += stamp.length;
    }
    int json = *line == '{';
    Shape shape = json ? shape_of_json(line, cut) : shape_of_text(line, cut);
    u32 length = (u32)(line - (const u8 *)from) + shape.length;
    if (from + length >= to) break;
    lines++;
    const u8 *end = line + shape.length;
    if (shape.control == 1 && end[-1] == '\r') {
      shape.control = 0;
      end--;
    }
    int read = shape.control == 0 && (u32)(end - (const u8 *)from) <= longest_line && is_line_start(line) &&
               !(stamp.kind && is_for_host(stamp.kind)) && !(prefix.kind && is_for_host(prefix.kind)) &&
               is_of_known_stream((const u8 *)from, prefix);
    if (json) read = read && shape.cuts <= MOST_JSON_QUOTES && count_json(line, end, cut, shape.cuts);
    else
      read = read && shape.cuts == SEPARATORS && shape.quotes == QUOTES && !(end[-1] == 'n' && end[-2] == '\\') &&
             count_text(line, end, cut);
    if (!read) other(from, from + length);
    from += length + 1;
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
