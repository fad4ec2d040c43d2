/* Paths with their ids replaced, as aggregate/path-template.ts does. */

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
