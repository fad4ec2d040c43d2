/* The lines that are kept for the host. */

#define KEPT_FIELDS 7
typedef struct {
  u32 hash;
  u32 name;
  /* The part, and its line. */
  u32 part, line;
  u32 at, length;
  /* By its lowest bit whether what follows was read of it; above, its cell. */
  u32 signs;
  int32_t duration, service_time, received, sent;
  /* Where path, user agent, upstream host, local, downstream local and peer address and request id begin and end in the line;
   * twice 0 for one that is null, 1 and 0 for one that is absent. */
  u32 spans[2 * KEPT_FIELDS];
  u32 stream;
  double time;
} Kept;
_Static_assert(sizeof(Kept) == 112 && __builtin_offsetof(Kept, time) == 104, "scanner.ts reads it");

typedef struct {
  u32 most, count;
  Kept *lines;
  u8 *text;
  u32 used, size;
  /* By cell how many leading zeros the hash of a line needs to stay (aggregate/strata.ts). */
  u8 zeros[MOST_CELLS];
} Sample;

/* The healthy lines, and the failing ones. */
static Sample samples[2];

/* Bytes of a kept line for which there is room. */
#define KEPT_LENGTH 1024

/* How many lines are kept: to be said once, before `clear`. */
EXPORT(keep_at_most) void keep_at_most(u32 healthy, u32 failing) {
  heap_end = (u32)&__heap_base;
  for (u32 i = 0; i < 2; i++) {
    Sample *sample = &samples[i];
    sample->most = i ? failing : healthy;
    sample->lines = (Kept *)room((sample->most + 1) * sizeof(Kept));
    sample->size = sample->most * KEPT_LENGTH;
    sample->text = (u8 *)room(sample->size);
  }
  keys = (Key *)room(MOST_KEYS * sizeof(Key));
  heap_floor = heap_end;
}

/* The same later on: there is no room for more than before. */
EXPORT(limit_kept) void limit_kept(u32 healthy, u32 failing) {
  if (healthy < samples[0].most) samples[0].most = healthy;
  if (failing < samples[1].most) samples[1].most = failing;
}

EXPORT(zeros_at) u32 zeros_at(u32 failing) { return (u32)samples[failing].zeros; }
EXPORT(kept_count) u32 kept_count(u32 failing) { return samples[failing].count; }
EXPORT(kept_at) u32 kept_at(u32 failing) { return (u32)samples[failing].lines; }
EXPORT(drop_kept) void drop_kept(u32 failing) { samples[failing].count = samples[failing].used = 0; }

static inline int stays(const Sample *sample, u32 cell, u32 hash) {
  return (u32)(hash ? __builtin_clz(hash) : 32) >= sample->zeros[cell];
}

/* Forgets the lines that do not stay any more. */
EXPORT(thin_kept) void thin_kept(u32 failing) {
  Sample *sample = &samples[failing];
  u32 count = 0, used = 0;
  for (u32 i = 0; i < sample->count; i++) {
    Kept *line = &sample->lines[i];
    if (!stays(sample, line->signs >> 1, line->hash)) continue;
    __builtin_memmove(sample->text + used, (const u8 *)line->at, line->length);
    sample->lines[count] = *line;
    sample->lines[count++].at = (u32)sample->text + used;
    used += line->length;
  }
  sample->count = count;
  sample->used = used;
}

/* In the place of the text of a field that is null, or absent. Longer ones than they are read at once. */
static const u8 NULL_TEXT[64] = "-", ABSENT[64] = "-";

static inline void put_span(u32 *spans, const u8 *line, Bytes field) {
  int there = !is_null(field);
  spans[0] = there ? (u32)(field.at - line) : field.at == ABSENT;
  spans[1] = there ? spans[0] + field.length : 0;
}

static __attribute__((noinline)) void keep_line(const Fields *fields, u32 name, u32 cell, double time, u32 hash, u32 failing) {
  Sample *sample = &samples[failing];
  u32 length = (u32)(fields->end - fields->line);
  if (sample->count > sample->most || sample->used + length > sample->size)
    return keep((u32)fields->line, (u32)fields->end, hash, cell, stream);
  Kept *kept = &sample->lines[sample->count++];
  kept->hash = hash;
  kept->name = name;
  kept->part = part;
  kept->stream = stream;
  kept->line = lines;
  kept->at = (u32)sample->text + sample->used;
  kept->length = length;
  kept->signs = cell << 1 | (fields->whole != 0);
  kept->duration = fields->duration;
  kept->service_time = fields->service_time;
  kept->received = fields->received;
  kept->sent = fields->sent;
  kept->time = time;
  put_span(kept->spans, fields->line, fields->path);
  put_span(kept->spans + 2, fields->line, fields->agent);
  put_span(kept->spans + 4, fields->line, fields->host);
  put_span(kept->spans + 6, fields->line, fields->local);
  put_span(kept->spans + 8, fields->line, fields->downstream_local);
  put_span(kept->spans + 10, fields->line, fields->peer);
  put_span(kept->spans + 12, fields->line, fields->id);
  __builtin_memcpy(sample->text + sample->used, fields->line, length);
  sample->used += length;
  if (sample->count > sample->most) full(failing);
}
