/* Where a line ends, and where its separators are. */

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
static __attribute__((noinline)) Shape shape_of_json(const u8 *line, u32 *cut) {
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
