/* What a line says: its fields, its time, and of which kind it is. */

/* What is counted of a line. A field that is not there, or null, is `-`. */
typedef struct {
  const u8 *line, *end;
  /* 24 bytes. */
  const u8 *time;
  Bytes method, path, protocol, authority, host, local, downstream_local, peer, agent, id, server_name;
  /* Milliseconds and bytes; -2 for none, of the service time -1 for one that is too long. */
  int32_t duration, service_time, received, sent;
  u32 has_service_time;
  /* Whether every field was read here as the host would: else it reads a line that is kept. */
  u32 whole;
  /* What makes the line's kind. */
  Bytes pieces[MOST_PIECES];
  u32 pieces_count;
  /* Which of them clients choose. */
  u32 authority_piece, server_name_piece;
} Fields;

static inline int is_null(Bytes text) { return text.length == 1 && *text.at == '-'; }
static inline int is_there(Bytes text) { return text.length > 0 && !is_null(text); }
static inline Bytes between(const u8 *at, const u8 *end) {
  Bytes bytes = {at, (u32)(end - at)};
  return bytes;
}

/* 127.0.0.6 is the address from which a sidecar calls its own app. */
static inline int calls_own_app(Bytes local) {
  return (local.length >= 10 && word_at(local.at) == 0x2e302e302e373231ull && local.at[8] == '6' && local.at[9] == ':') ||
         (local.length >= 6 && word32_at(local.at) == 0x363a3a5bu && local.at[4] == ']' && local.at[5] == ':');
}

/* ms since the Unix epoch of `2026-01-02T03:04:05.678Z`; NaN for another time. */
static inline double time_at(const u8 *at) {
  /* The bytes of `:05.678Z` less those of `:00.000Z`: digits stay, the others vanish. */
  u64 figures = word_at(at + 16) ^ 0x5a3030302e30303aull;
  if ((figures & 0xfff0f0f0fff0f0ffull) || ((figures + ALL(6)) & ALL(0xf0))) return __builtin_nan("");
  int32_t second = (int32_t)((figures >> 8 & 15) * 10 + (figures >> 16 & 15));
  int32_t ms = second * 1000 + (int32_t)((figures >> 32 & 15) * 100 + (figures >> 40 & 15) * 10 + (figures >> 48 & 15));
  if (second > 60) return __builtin_nan("");
  if (!same(at, minute, 17)) {
    double time = time_of((u32)at);
    if (time != time || at[0] != '2' || at[1] != '0') return __builtin_nan("");
    minute_ms = time - ms;
    __builtin_memcpy(minute, at, 17);
  }
  return minute_ms + ms;
}

static inline Sum sum_of_signs(u32 signs) {
  v128_t both = wasm_i32x4_make((int32_t)signs, (int32_t)stream, 0, 0);
  Sum sum = {both, both};
  return sum;
}

/* Whether a piece is a text that clients choose, as aggregate/tally.ts says. */
static inline int is_chosen(const Fields *fields, u32 piece) {
  if (piece == fields->authority_piece) return is_there(fields->authority);
  if (piece != fields->server_name_piece || !is_there(fields->server_name)) return 0;
  return !(fields->server_name.length >= 9 && word_at(fields->server_name.at) == 0x646e756f6274756full && fields->server_name.at[8] == '_');
}

/* `bare`: without what clients chose. */
static Digest digest_of_kind(const Fields *fields, u32 signs, u32 with_local, int bare) {
  Sum sum = sum_of_signs(bare ? signs | BARE : signs);
  for (u32 i = 0; i < fields->pieces_count; i++)
    if (!bare || !is_chosen(fields, i)) add_span(&sum, fields->pieces[i].at, fields->pieces[i].length, i);
  if (with_local) add_span(&sum, fields->downstream_local.at, fields->downstream_local.length, MOST_PIECES);
  return digest_of_sum(&sum);
}

/* The kind of a line whose spelling is new; the number of one past the last where there is no more room. */
static u32 key_of(const Fields *fields, u32 signs, u32 with_local) {
  Digest digest = digest_of_kind(fields, signs, with_local, 0);
  u32 *slot = key_slot(digest);
  if (*slot) return *slot - 1;
  if (some_for_all) {
    u32 held = *key_slot(digest_of_kind(fields, signs, with_local, 1));
    if (held) return held - 1;
  }
  if (keys_count == MOST_KEYS) return MOST_KEYS;
  int32_t answer = met((u32)fields->line, (u32)fields->end, stream);
  if (answer >= 0 && (answer & FOR_ALL)) {
    some_for_all = 1;
    digest = digest_of_kind(fields, signs, with_local, 1);
    slot = key_slot(digest);
  }
  Key *key = &keys[keys_count];
  key->digest = digest;
  key->answer = answer;
  key->name = name_of_key;
  clear_counts(key);
  *slot = ++keys_count;
  return keys_count - 1;
}

static __attribute__((noinline)) Spelling *new_spelling(const Fields *fields, u32 signs, u32 with_local, Digest digest) {
  u32 key = key_of(fields, signs, with_local);
  if (key == MOST_KEYS) return 0;
  if (spellings_count * 2 > spelling_mask) widen_spellings();
  Spelling *here = &spellings[spellings_count];
  here->digest = digest;
  here->key = key;
  here->host = is_null(fields->host) ? 0 : id_of(&values[HOST], fields->host) + 1;
  here->count = 0;
  here->first = __builtin_inf();
  here->last = -__builtin_inf();
  place_spelling(spellings_count++);
  return here;
}

/* Says what a line's addresses tell; 0 where one is of another kind than is read here. */
static inline int signs_of(const Fields *fields, u32 *signs, Bytes *peer_host) {
  Bytes local_host;
  int has_peer = !is_null(fields->peer);
  *signs = (is_there(fields->path) ? HAS_PATH : 0) | (fields->has_service_time ? 0 : NO_SERVICE_TIME);
  if (has_peer && !host_of(fields->peer, peer_host)) return 0;
  if (is_null(fields->local)) return 1;
  if (calls_own_app(fields->local)) *signs |= CALLS_OWN_APP;
  if (!host_of(fields->local, &local_host)) return 0;
  if (has_peer)
    *signs |= local_host.length == peer_host->length && same(local_host.at, peer_host->at, peer_host->length)
                  ? FROM_OWN_POD
                  : FROM_ELSEWHERE;
  return 1;
}

/* Whether nothing but the downstream local address tells what was meant. */
static inline u32 is_known_by_local(const Fields *fields) {
  return !(is_there(fields->path) || is_there(fields->method) || is_there(fields->protocol) || is_there(fields->authority));
}
