/* Paths with their ids replaced, as aggregate/path-template.ts does. */

/* What a segment is, and what stands for it in a template. */
enum { WORD, NUMBER, UUID, OTHER_ID };
static const Bytes STAND_INS[4] = {{(const u8 *)"", 0}, {(const u8 *)"{n}", 3}, {(const u8 *)"{uuid}", 6}, {(const u8 *)"{id}", 4}};

#define SHORTEST_ID 8
#define SHORTEST_TOKEN 16
#define UUID_LENGTH 36
/* Where a UUID has its dashes. */
#define UUID_DASHES (1ull << 8 | 1ull << 13 | 1ull << 18 | 1ull << 23)

/* Of a segment; `dashes`: where there are any of a segment as long as a UUID; `token`: letters, digits, `-` and `_`. */
static inline u32 kind_of(u32 length, u32 digits, int all_hex, int all_hex_but_dashes, int all_token, u64 dashes) {
  if (length > 0 && digits == length) return NUMBER;
  if (length < SHORTEST_ID) return WORD;
  if (length == UUID_LENGTH && all_hex_but_dashes && dashes == UUID_DASHES) return UUID;
  if (digits == 0) return WORD;
  return all_hex || (all_token && length >= SHORTEST_TOKEN) ? OTHER_ID : WORD;
}

static u8 template[2 * LONGEST_PATH + 64];

/* The template of a path of any length; of length 0 for one that is too long. */
static __attribute__((noinline)) Bytes template_of(Bytes whole) {
  Bytes path = {template, 0};
  u32 used = 0;
  for (u32 at = 0;; at++) {
    u32 from = at, digits = 0, hex = 0, token = 0;
    u64 dashes = 0;
    for (; at < whole.length && whole.at[at] != '/' && whole.at[at] != '?'; at++) {
      u8 byte = whole.at[at], letter = (u8)((byte | 32) - 'a');
      int is_dash = byte == '-';
      digits += is_digit(byte);
      hex += is_digit(byte) || letter < 6;
      token += is_digit(byte) || letter < 26 || is_dash || byte == '_';
      dashes |= (u64)is_dash << ((at - from) & 63);
    }
    if (at > LONGEST_PATH - 1) return path;
    u32 length = at - from;
    u32 kind = kind_of(length, digits, hex == length, hex + 4 == length, token == length, dashes);
    Bytes text = kind == WORD ? between(whole.at + from, whole.at + at) : STAND_INS[kind];
    for (u32 i = 0; i < text.length; i++) template[used++] = text.at[i];
    if (at == whole.length || whole.at[at] == '?') break;
    template[used++] = '/';
  }
  path.length = used;
  return path;
}

/* By byte whether it may stand in a hexadecimal number, and in a token. */
typedef struct {
  u64 hex, token, dash;
} Classes;

static inline v128_t letters(v128_t bytes, int8_t count) {
  v128_t from_a = wasm_i8x16_sub(wasm_v128_or(bytes, wasm_i8x16_splat(32)), wasm_i8x16_splat('a'));
  return wasm_u8x16_lt(from_a, wasm_i8x16_splat(count));
}

static inline u64 letters_in(Block b, int8_t count) {
  return mask_of(letters(b.a, count), letters(b.b, count), letters(b.c, count), letters(b.d, count));
}

/* Of 64 bytes, of which it is known which are digits. */
static __attribute__((noinline)) void classes_of(const u8 *at, u64 digit, Classes *classes) {
  Block block = block_at(at);
  classes->dash = where(block, wasm_i8x16_splat('-'));
  classes->hex = digit | letters_in(block, 6);
  classes->token = digit | letters_in(block, 26) | classes->dash | where(block, wasm_i8x16_splat('_'));
}

static inline u32 mask_of_32(v128_t a, v128_t b) { return (u32)wasm_i8x16_bitmask(a) | (u32)wasm_i8x16_bitmask(b) << 16; }

/* Paths that are looked at 64 bytes at once, and how many of their segments may be replaced. */
#define SHORT_PATH 64
#define MOST_REPLACED (SPANS - 1)

/*
 * The number of a short path's template. It is known by a digest of the texts between what is replaced, and of what stands
 * there: only of one that is new the template is made.
 */
static inline u32 id_of_template(Bytes whole) {
  const v128_t zero = wasm_i8x16_splat('0'), ten = wasm_i8x16_splat(10), question = wasm_i8x16_splat('?'), solidus = wasm_i8x16_splat('/');
  u64 query, digit, slash;
  if (whole.length <= 32) {
    v128_t a = wasm_v128_load(whole.at), b = wasm_v128_load(whole.at + 16);
    query = mask_of_32(wasm_i8x16_eq(a, question), wasm_i8x16_eq(b, question));
    digit = mask_of_32(wasm_u8x16_lt(wasm_i8x16_sub(a, zero), ten), wasm_u8x16_lt(wasm_i8x16_sub(b, zero), ten));
    slash = mask_of_32(wasm_i8x16_eq(a, solidus), wasm_i8x16_eq(b, solidus));
  } else {
    Block block = block_at(whole.at);
    Block figures = {wasm_i8x16_sub(block.a, zero), wasm_i8x16_sub(block.b, zero), wasm_i8x16_sub(block.c, zero),
                     wasm_i8x16_sub(block.d, zero)};
    query = where(block, question);
    digit = where_below(figures, ten);
    slash = where(block, solidus);
  }
  u64 within = whole.length == 64 ? ~0ull : (1ull << whole.length) - 1;
  query &= within;
  if (query) within = (query & -query) - 1;
  digit &= within;
  slash &= within;
  u32 length = query ? first_of(query) : whole.length;
  /* Where there may be something to replace: a segment as long as a UUID may have no digit. */
  u64 left = digit | (length < UUID_LENGTH ? 0 : (slash << 1 | 1) & within);
  Sum sum = {wasm_i64x2_splat(0), wasm_i64x2_splat(0)};
  u32 replaced = 0, copied = 0, kinds = 0;
  Classes classes = {0, 0, 0};
  while (left && replaced < MOST_REPLACED) {
    u32 at = first_of(left);
    u64 before = slash & ((1ull << at) - 1), behind = slash >> at;
    u32 start = before ? 64 - (u32)__builtin_clzll(before) : 0, end = behind ? at + first_of(behind) : length;
    u64 all = (end == 64 ? ~0ull : (1ull << end) - 1) & ~((1ull << start) - 1);
    left &= ~all & ~(1ull << at);
    u32 kind;
    if ((digit & all) == all && end > start) kind = NUMBER;
    else {
      if (end - start < SHORTEST_ID) continue;
      if (!classes.token) classes_of(whole.at, digit, &classes);
      u64 dashes = (classes.dash & all) >> start;
      kind = kind_of(end - start, ones(digit & all), (classes.hex & all) == all, ((classes.hex | classes.dash) & all) == all,
                     (classes.token & all) == all, dashes);
      if (kind == WORD) continue;
    }
    add_bytes(&sum, whole.at + copied, start - copied, secrets + replaced * SPAN);
    kinds = kinds << 2 | kind;
    replaced++;
    copied = end;
  }
  if (left && replaced == MOST_REPLACED) return id_of(&values[PATH], template_of(whole));
  add_bytes(&sum, whole.at + copied, length - copied, secrets + replaced * SPAN);
  sum.a = wasm_i64x2_add(sum.a, wasm_i64x2_make(kinds, 0));
  Digest digest = digest_of_sum(&sum);
  Texts *paths = &values[PATH];
  u32 slot = slot_in(paths, digest);
  u32 held = paths->slots[slot].held;
  return held ? held - 1 : new_text(paths, slot, template_of(whole), digest);
}
