/* Numbers, addresses, and bytes looked at many at once. */

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
