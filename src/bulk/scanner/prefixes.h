/*
 * Who stands in front of a line: `[pod/NAME/CONTAINER] `, as `kubectl logs --prefix` writes it, and stern's `[namespace ]pod
 * container ` or a container alone. The host says which stream that is (framing/wrappers.ts), once for each in a source.
 */

/* As long as its digest is quick. */
#define LONGEST_PREFIX SPAN
#define LONGEST_NAME 254
#define MOST_NAMES 3

/* `digest`: of the source too. */
typedef struct {
  Digest digest;
  u32 stream, hash;
  u32 known;
} Prefix;

/* Who reads the lines of one that is known. */
enum { FOR_HOST = 1, READ_HERE };

#define MOST_PREFIXES 4096
static Prefix prefixes[2 * MOST_PREFIXES];
static u32 prefixes_count;
static Prefix *prefix_shown;

/* Whose the lines are that have the prefix which the host is just shown. */
EXPORT(name_prefix) void name_prefix(u32 number, u32 hash) {
  prefix_shown->stream = number;
  prefix_shown->hash = hash;
  prefix_shown->known = READ_HERE;
}

static inline int is_name_byte(u8 byte) { return (u8)(byte - 'a') < 26 || is_digit(byte) || byte == '-' || byte == '.'; }

/* A line or a stamp, for which the host looks behind each name. */
static inline int ends_names(const u8 *at) { return is_line_start(at) || (at[0] == '2' && at[1] == '0' && at[4] == '-' && at[7] == '-'); }

/* Its kind and length, of kind 0 where a line has none. */
static __attribute__((noinline)) Wrapper prefix_of(const u8 *line) {
  Wrapper found = {NONE, 0};
  const u8 *at = line;
  if (*at == '[') {
    if (word32_at(at + 1) != 0x2f646f70u) return found;
    while (*at != ']' && *at != '\n' && at - line <= LONGEST_PREFIX) at++;
    if (*at != ']' || at[1] != ' ' || !ends_names(at + 2)) return found;
    found.kind = PREFIX;
    found.length = (u32)(at + 2 - line);
    return found;
  }
  for (u32 names = 0; names < MOST_NAMES; names++) {
    const u8 *name = at;
    while (is_name_byte(*at) && at - name <= LONGEST_NAME) at++;
    if (at == name || at - name > LONGEST_NAME || *at != ' ') return found;
    at++;
    if (!ends_names(at)) continue;
    found.kind = NAMES;
    found.length = (u32)(at - line);
    return found;
  }
  return found;
}

/* What follows is of whom a prefix names; 0 where its lines are for the host. */
static __attribute__((noinline)) int begin_named(const u8 *line, u32 length) {
  if (length > LONGEST_PREFIX) return 0;
  Sum sum = {wasm_i32x4_splat((int32_t)bare_stream), wasm_i32x4_splat((int32_t)bare_stream)};
  add_bytes(&sum, line, length, secrets);
  Digest digest = digest_of_sum(&sum);
  u32 slot = slot_of(digest, 2 * MOST_PREFIXES - 1);
  while (prefixes[slot].known && prefixes[slot].digest != digest) slot = (slot + 1) & (2 * MOST_PREFIXES - 1);
  Prefix *here = &prefixes[slot];
  if (!here->known) {
    if (prefixes_count == MOST_PREFIXES) return 0;
    prefixes_count++;
    here->digest = digest;
    here->known = FOR_HOST;
    prefix_shown = here;
    prefix((u32)line, (u32)line + length);
  }
  stream = here->stream;
  stream_hash = here->hash;
  return here->known == READ_HERE;
}

/* Whose line it is, by its prefix; 0 where the host is to say so. */
static inline int is_of_known_stream(const u8 *line, Wrapper prefix) {
  if (prefix.kind) return begin_named(line, prefix.length);
  stream = bare_stream;
  stream_hash = bare_stream_hash;
  return 1;
}
