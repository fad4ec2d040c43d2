/* Texts: how they are known, compared, and hashed as the host does. */

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

/* The hash by which aggregate/line-hash.ts decides which lines to keep: `hashBytes` of record/dictionary.ts. */
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

/* The same of a request id; of a UUID `hashOfId` of aggregate/line-hash.ts. */
static inline u32 hash32_of_id(Bytes id) {
  if (id.length != 36) return hash32_of(id);
  u32 sum = 36, odd = 0x9e3779b1u;
  for (u32 i = 0; i < 36; i += 4, odd += 0x6a09e668u) {
    u32 word = word32_at(id.at + i);
    if (i == 12) word = (word & 0xff00ffffu) | (120u << 16);
    sum += word * odd;
  }
  return mixed32(sum);
}
