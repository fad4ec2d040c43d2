/* Lines of Istio's text layout. */

#define SEPARATORS 21
#define QUOTES 14

/* The fields, by the blank in front of them. */
enum { AFTER_TIME, AFTER_REQUEST, AFTER_CODE, AFTER_FLAGS, AFTER_DETAILS, AFTER_TERMINATION, AFTER_REASON, AFTER_RECEIVED,
  AFTER_SENT, AFTER_DURATION, AFTER_SERVICE_TIME, AFTER_FORWARDED_FOR, AFTER_AGENT, AFTER_ID, AFTER_AUTHORITY, AFTER_HOST,
  AFTER_CLUSTER, AFTER_LOCAL, AFTER_DOWNSTREAM_LOCAL, AFTER_PEER, AFTER_SERVER_NAME };

/* A field without its quotes, by the blanks around it. */
static inline Bytes within_quotes(const u8 *blank, const u8 *next) { return between(blank + 2, next - 1); }

/* Whether a field, of which a line has as many quotes as quoted fields need, is enclosed by two of them, not by one twice. */
static inline int is_enclosed(const u8 *blank, const u8 *next) { return blank[1] == '"' && next[-1] == '"' && next - blank > 2; }

/*
 * [time] "method path protocol" code flags details termination "reason" received sent duration service-time
 * "forwarded-for" "agent" "id" "authority" "host" cluster local downstream-local peer server-name route
 *
 * A line with as many quotes, and blanks that no quotes enclose, at `cut`; 0 where it is none of these.
 */
static inline int count_text(const u8 *line, const u8 *end, const u32 *cut) {
#define AT(i) (line + cut[i])
  if (cut[AFTER_TIME] != 26 || line[0] != '[' || line[25] != ']') return 0;
  if (!(is_enclosed(AT(AFTER_TIME), AT(AFTER_REQUEST)) & is_enclosed(AT(AFTER_TERMINATION), AT(AFTER_REASON)) &
        is_enclosed(AT(AFTER_SERVICE_TIME), AT(AFTER_FORWARDED_FOR)) & is_enclosed(AT(AFTER_FORWARDED_FOR), AT(AFTER_AGENT)) &
        is_enclosed(AT(AFTER_AGENT), AT(AFTER_ID)) & is_enclosed(AT(AFTER_ID), AT(AFTER_AUTHORITY)) &
        is_enclosed(AT(AFTER_AUTHORITY), AT(AFTER_HOST))))
    return 0;

  const u8 *method = AT(AFTER_TIME) + 2, *close = AT(AFTER_REQUEST) - 1, *protocol;
  if (close < method + 5) return 0;
  if (close[-1] == '-' && close[-2] == ' ') protocol = close - 1;
  else if (close - method > 9 && close[-9] == ' ' && word_at(close - 8) >> 8 == 0x312e312f505454ull && close[-8] == 'H')
    protocol = close - 8;
  else if (close - method > 7 && close[-7] == ' ' && word32_at(close - 6) == 0x50545448u && close[-2] == '/' && close[-1] > ' ')
    protocol = close - 6;
  else return 0;
  u64 blanks = word_at(method) ^ ALL(' ');
  blanks = (blanks - ALL(1)) & ~blanks & ALL(0x80);
  const u8 *method_end = method + (blanks ? first_of(blanks) / 8 : 8);
  while (*method_end != ' ') method_end++;
  if (protocol - 1 < method_end + 1) return 0;

  Fields fields;
  fields.received = digits(AT(AFTER_REASON) + 1, AT(AFTER_RECEIVED));
  fields.sent = digits(AT(AFTER_RECEIVED) + 1, AT(AFTER_SENT));
  fields.duration = is_dash(AT(AFTER_SENT) + 1, AT(AFTER_DURATION)) ? -2 : digits(AT(AFTER_SENT) + 1, AT(AFTER_DURATION));
  if (fields.received < 0 || fields.sent < 0 || fields.duration == -1 || fields.duration >= LONGEST_DURATION ||
      cut[AFTER_SERVICE_TIME] == cut[AFTER_DURATION] + 1)
    return 0;
  if (!is_address(AT(AFTER_LOCAL) + 1, AT(AFTER_DOWNSTREAM_LOCAL))) return 0;

  fields.line = line;
  fields.end = end;
  fields.time = line + 1;
  fields.method = between(method, method_end);
  fields.path = between(method_end + 1, protocol - 1);
  fields.protocol = between(protocol, close);
  fields.service_time = is_dash(AT(AFTER_DURATION) + 1, AT(AFTER_SERVICE_TIME)) ? -2 : digits(AT(AFTER_DURATION) + 1, AT(AFTER_SERVICE_TIME));
  fields.has_service_time = fields.service_time >= 0 || all_digits(AT(AFTER_DURATION) + 1, AT(AFTER_SERVICE_TIME));
  fields.whole = fields.service_time != -1;
  fields.agent = within_quotes(AT(AFTER_FORWARDED_FOR), AT(AFTER_AGENT));
  fields.id = within_quotes(AT(AFTER_AGENT), AT(AFTER_ID));
  fields.authority = within_quotes(AT(AFTER_ID), AT(AFTER_AUTHORITY));
  fields.local = between(AT(AFTER_CLUSTER) + 1, AT(AFTER_LOCAL));
  fields.host = within_quotes(AT(AFTER_AUTHORITY), AT(AFTER_HOST));
  fields.downstream_local = between(AT(AFTER_LOCAL) + 1, AT(AFTER_DOWNSTREAM_LOCAL));
  fields.peer = between(AT(AFTER_DOWNSTREAM_LOCAL) + 1, AT(AFTER_PEER));
  u32 signs, with_local = is_known_by_local(&fields);
  Bytes peer_host;
  /* It looks at the local and the peer's address too. */
  if (!signs_of(&fields, &signs, &peer_host)) return 0;

  Sum sum = sum_of_signs(signs);
  add_span(&sum, method, (u32)(method_end - method), 0);
  add_span(&sum, protocol, (u32)(AT(AFTER_REASON) - protocol), 1);
  add_span(&sum, AT(AFTER_ID), cut[AFTER_CLUSTER] - cut[AFTER_ID], 2);
  add_span(&sum, AT(AFTER_PEER), (u32)(end - AT(AFTER_PEER)), 3);
  if (with_local) add_span(&sum, fields.downstream_local.at, fields.downstream_local.length, MOST_PIECES);
  Digest digest = digest_of_sum(&sum);
  Spelling *spelling = spelling_of(digest);
  if (!spelling) {
    if (!is_address(fields.host.at, fields.host.at + fields.host.length) || cut[AFTER_CLUSTER] == cut[AFTER_HOST] + 1 ||
        cut[AFTER_SERVER_NAME] == cut[AFTER_PEER] + 1 || AT(AFTER_SERVER_NAME) + 1 >= end)
      return 0;
    fields.pieces[0] = fields.method;
    fields.pieces[1] = between(protocol, AT(AFTER_REASON));
    fields.pieces[2] = between(AT(AFTER_ID), AT(AFTER_AUTHORITY));
    fields.pieces[3] = between(AT(AFTER_HOST), AT(AFTER_CLUSTER));
    fields.pieces[4] = between(AT(AFTER_PEER), AT(AFTER_SERVER_NAME));
    fields.pieces[5] = between(AT(AFTER_SERVER_NAME), end);
    fields.pieces_count = 6;
    fields.server_name = between(AT(AFTER_PEER) + 1, AT(AFTER_SERVER_NAME));
    fields.authority_piece = 2;
    fields.server_name_piece = 4;
    spelling = new_spelling(&fields, signs, with_local, digest);
    if (!spelling) return 0;
  }
  return count_fields(&fields, spelling, peer_host);
#undef AT
}
