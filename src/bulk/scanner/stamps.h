/*
 * What a kubelet writes in front of a line (CRI), and `kubectl logs --timestamps`: when the line was written, and of CRI the
 * stream and that the line is whole. framing/wrappers.ts peels it, and much else.
 */

enum { NONE, TIMESTAMP, CRI, PREFIX, NAMES };

typedef struct {
  u32 kind;
  /* Of its bytes, the blank behind it included. */
  u32 length;
} Wrapper;

/* Whether the host is to read a wrapped line: one that ends a line in pieces, and the first of its kind in each part. */
static inline int is_for_host(u32 kind) {
  u32 is_shown = wrappers_shown >> kind & 1;
  wrappers_shown |= 1u << kind;
  return holding || !is_shown;
}

/* The minute of the stamp that was read last, as it was written. */
static u8 stamp_minute[32];

static inline int figures_at(const u8 *at) { return is_digit(at[0]) && is_digit(at[1]) ? (at[0] - '0') * 10 + at[1] - '0' : -1; }

/* `2026-01-02T03:04:`. */
static __attribute__((noinline)) int is_minute(const u8 *at) {
  int month = figures_at(at + 5), day = figures_at(at + 8), hour = figures_at(at + 11), of_hour = figures_at(at + 14);
  return at[0] == '2' && at[1] == '0' && figures_at(at + 2) >= 0 && at[4] == '-' && month >= 1 && month <= 12 && at[7] == '-' &&
         day >= 1 && day <= 31 && at[10] == 'T' && hour >= 0 && hour <= 23 && at[13] == ':' && of_hour >= 0 && of_hour <= 59 &&
         at[16] == ':';
}

/* Where a line of Envoy's may begin behind a stamp. */
static inline int is_line_start(const u8 *at) { return *at == '{' || (at[0] == '[' && at[1] == '2' && at[2] == '0'); }

/* The stamp in front of a line; of no kind where there is none, or one that only the host may peel. */
static inline Wrapper stamp_of(const u8 *line) {
  const Wrapper none = {NONE, 0};
  if (*line != '2') return none;
  if (!same(line, stamp_minute, 17)) {
    if (!is_minute(line)) return none;
    __builtin_memcpy(stamp_minute, line, 17);
  }
  int second = figures_at(line + 17);
  if (second < 0 || second > 59) return none;
  const u8 *at = line + 19;
  if (*at == '.') {
    const u8 *fraction = ++at;
    while (is_digit(*at) && at - fraction < 10) at++;
    if (at == fraction || at - fraction > 9) return none;
  }
  if (*at == 'Z') at++;
  else if ((*at == '+' || *at == '-') && figures_at(at + 1) >= 0 && at[3] == ':' && figures_at(at + 4) >= 0) at += 6;
  else return none;
  if (*at++ != ' ') return none;
  if (is_line_start(at)) {
    Wrapper stamp = {TIMESTAMP, (u32)(at - line)};
    return stamp;
  }
  /* `stdout F ` or `stderr F `. */
  u64 head = word_at(at);
  if ((head != 0x462074756f647473ull && head != 0x4620727265647473ull) || at[8] != ' ' || !is_line_start(at + 9)) return none;
  Wrapper stamp = {CRI, (u32)(at + 9 - line)};
  return stamp;
}
