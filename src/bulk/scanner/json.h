/* Lines of Istio's JSON layout. */

/* The fields by their number in scanner.ts. */
enum { TIME, METHOD, TARGET, PROTOCOL, CODE, FLAGS, DETAILS, TERMINATION, REASON, RECEIVED, SENT, LASTED, SERVICE_TIME, USER_AGENT,
  ID, AUTHORITY, UPSTREAM_HOST, CLUSTER, LOCAL, DOWNSTREAM_LOCAL, DOWNSTREAM_PEER, SERVER_NAME, ROUTE, FIELDS };

#define MOST_MEMBERS 64
#define MOST_LAYOUTS 16
#define MOST_JSON_QUOTES (4 * MOST_MEMBERS)
/* How often the host is asked for a layout before lines of another one are just handed over. */
#define MOST_ASKED 256

/* The keys of a line in their order, each as `"key":`. */
typedef struct {
  u32 members;
  u32 at[MOST_MEMBERS];
  u32 length[MOST_MEMBERS];
  int32_t field[MOST_MEMBERS];
} Layout;

static Layout layouts[MOST_LAYOUTS];
static u32 layout_count;
static u32 layout_last;
static u32 layouts_asked;
static u8 layout_text[MOST_LAYOUTS * 2048];
static u32 layout_text_used;

/* The next member of the layout that the host was asked for: its key stands at `start`; `field` is -1 for one that does not count. */
EXPORT(add_member) void add_member(u32 start, u32 length, int32_t field) {
  Layout *layout = &layouts[layout_count];
  if (layout->members == MOST_MEMBERS || layout_text_used + length + 32 > sizeof layout_text) {
    layout->members = MOST_MEMBERS + 1;
    return;
  }
  if (layout->members > MOST_MEMBERS) return;
  u32 member = layout->members++;
  layout->at[member] = layout_text_used;
  layout->length[member] = length;
  layout->field[member] = field;
  __builtin_memcpy(layout_text + layout_text_used, (const u8 *)start, length);
  layout_text_used += length;
}

typedef struct {
  /* With its quotes, and without. */
  Bytes raw, text;
} Value;

/* Reads a line by a layout; 0 where it has another one, or a value that is no plain string, whole number or null. */
static inline int read_members(const Layout *layout, const u8 *line, const u8 *end, const u32 *cut, u32 quotes, Value *found) {
  const u8 *at = line + 1;
  u32 next = 0;
  for (u32 i = 0; i < layout->members; i++) {
    u32 length = layout->length[i];
    if (at + length >= end || next + 2 > quotes || line + cut[next] != at ||
        !same(layout_text + layout->at[i], at, length))
      return 0;
    at += length;
    next += 2;
    Value value;
    if (*at == '"') {
      if (next + 2 > quotes) return 0;
      const u8 *close = line + cut[next + 1];
      next += 2;
      value.raw = between(at, close + 1);
      value.text = between(at + 1, close);
      at = close + 1;
    } else {
      const u8 *from = at;
      if (word32_at(at) == 0x6c6c756eu) {
        at += 4;
        value.text = between(NULL_TEXT, NULL_TEXT + 1);
      } else {
        while (is_digit(*at)) at++;
        if (at == from || (*from == '0' && at > from + 1)) return 0;
        value.text = between(from, at);
      }
      value.raw = between(from, at);
    }
    if (*at != (i + 1 == layout->members ? '}' : ',')) return 0;
    at++;
    int32_t field = layout->field[i];
    if (field >= 0) found[field] = value;
  }
  return at == end && next == quotes;
}

static inline int is_absent(const Value *value) { return value->raw.length == 0; }
static inline int is_quoted(const Value *value) { return *value->raw.at == '"' || *value->raw.at == 'n'; }

static inline int is_number(const Value *value) { return value->raw.length > 0 && *value->raw.at != '"'; }

/* A whole number, as JSON or as text; -2 for none, -1 for anything else. */
static inline int32_t number_of(const Value *value) {
  return is_null(value->text) ? -2 : digits(value->text.at, value->text.at + value->text.length);
}

static __attribute__((noinline)) int count_json(const u8 *line, const u8 *end, const u32 *cut, u32 quotes) {
  Value found[FIELDS];
  for (u32 i = 0; i < FIELDS; i++) {
    found[i].raw = between(ABSENT, ABSENT);
    found[i].text = between(ABSENT, ABSENT + 1);
  }
  if (layout_last >= layout_count || !read_members(&layouts[layout_last], line, end, cut, quotes, found)) {
    u32 i = 0;
    while (i < layout_count && !read_members(&layouts[i], line, end, cut, quotes, found)) i++;
    if (i == layout_count) {
      if (layout_count == MOST_LAYOUTS || layouts_asked++ > MOST_ASKED) return 0;
      layouts[i].members = 0;
      u32 used = layout_text_used;
      if (!layout((u32)line, (u32)end) || layouts[i].members > MOST_MEMBERS) {
        layout_text_used = used;
        return 0;
      }
      layout_count++;
      if (!read_members(&layouts[i], line, end, cut, quotes, found)) return 0;
    }
    layout_last = i;
  }
  /* A number where a text belongs is spelled by the host. */
  static const u8 texts[] = {TIME, METHOD, TARGET, PROTOCOL, USER_AGENT, ID, AUTHORITY, UPSTREAM_HOST, LOCAL, DOWNSTREAM_PEER};
  for (u32 i = 0; i < sizeof texts; i++)
    if (!is_absent(&found[texts[i]]) && !is_quoted(&found[texts[i]])) return 0;
  if (found[TIME].text.length != 24) return 0;
  Fields fields;
  fields.received = number_of(&found[RECEIVED]);
  fields.sent = number_of(&found[SENT]);
  fields.duration = number_of(&found[LASTED]);
  fields.service_time = number_of(&found[SERVICE_TIME]);
  if (fields.sent == -1 || fields.duration == -1 || fields.duration >= LONGEST_DURATION) return 0;
  fields.line = line;
  fields.end = end;
  fields.time = found[TIME].text.at;
  fields.method = found[METHOD].text;
  fields.path = found[TARGET].text;
  fields.protocol = found[PROTOCOL].text;
  Bytes waited = found[SERVICE_TIME].text;
  fields.has_service_time = all_digits(waited.at, waited.at + waited.length);
  /* As Envoy writes them: whole numbers, but the service time, a header, as text. */
  fields.whole = is_number(&found[RECEIVED]) && is_number(&found[SENT]) && is_number(&found[LASTED]) &&
                 is_quoted(&found[SERVICE_TIME]) && fields.received != -1 && fields.service_time != -1;
  if (!fields.has_service_time && is_there(waited)) return 0;
  fields.agent = found[USER_AGENT].text;
  fields.id = found[ID].text;
  fields.authority = found[AUTHORITY].text;
  fields.host = found[UPSTREAM_HOST].text;
  fields.local = found[LOCAL].text;
  fields.downstream_local = found[DOWNSTREAM_LOCAL].text;
  fields.peer = found[DOWNSTREAM_PEER].text;
  u32 signs, with_local = is_known_by_local(&fields);
  Bytes peer_host;
  if (!signs_of(&fields, &signs, &peer_host)) return 0;

  static const u8 kind[] = {METHOD, PROTOCOL, CODE, FLAGS, DETAILS, TERMINATION, REASON, AUTHORITY, CLUSTER, SERVER_NAME, ROUTE};
  Sum sum = sum_of_signs(signs);
  for (u32 i = 0; i < sizeof kind; i++) add_span(&sum, found[kind[i]].raw.at, found[kind[i]].raw.length, i);
  add_span(&sum, fields.host.at, fields.host.length, sizeof kind);
  if (with_local) add_span(&sum, fields.downstream_local.at, fields.downstream_local.length, MOST_PIECES);
  Digest digest = digest_of_sum(&sum);
  Spelling *spelling = spelling_of(digest);
  if (!spelling) {
    for (u32 i = 0; i < sizeof kind; i++) fields.pieces[i] = found[kind[i]].raw;
    fields.pieces_count = sizeof kind;
    fields.server_name = found[SERVER_NAME].text;
    fields.authority_piece = 7;
    fields.server_name_piece = 9;
    spelling = new_spelling(&fields, signs, with_local, digest);
    if (!spelling) return 0;
  }
  return count_fields(&fields, spelling, peer_host);
}
