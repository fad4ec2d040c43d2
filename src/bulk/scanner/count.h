/* A line is counted, whichever layout it has. */

/* Counts a line, whose spelling was looked up; 0 where it is to be handed over. */
static inline __attribute__((always_inline)) int count_fields(const Fields *fields, Spelling *spelling, Bytes peer_host) {
  int32_t answer = keys[spelling->key].answer;
  if (answer < 0) return 0;
  double time = time_at(fields->time);
  if (time != time) return 0;
  int has_path = is_there(fields->path);
  int has_long_path = fields->path.length > SHORT_PATH;
  Bytes long_path;
  if (has_long_path) {
    long_path = template_of(fields->path);
    if (long_path.length == 0) return 0;
  }
  spelling->count++;
  counted++;
  if (time < first_time) first_time = time;
  if (time > last_time) last_time = time;

  u32 failing = answer & FAILING, duration = (u32)fields->duration;
  if (answer & COUNTS) {
    u32 base = ((u32)answer >> CELL_SHIFT) << KINDS_SHIFT;
    if (!is_null(fields->peer)) count_peer(base | PEER, peer_host);
    if (has_path) count_value(base | PATH, has_long_path ? id_of(&values[PATH], long_path) : id_of_template(fields->path), 1);
    if (!is_null(fields->agent)) count_value(base | AGENT, id_of(&values[AGENT], fields->agent), 1);
    if (fields->duration >= 0) {
      if (answer & ANSWERS) count_value(DURATION, duration, 1);
      if (failing) count_value(base | DURATION, duration, 1);
    }
    if (failing) {
      if (time < spelling->first) spelling->first = time;
      if (time > spelling->last) spelling->last = time;
    }
  }

  /* Whether the line stays: by its request where it names one, else its connection, else itself. */
  u32 keep_hash = 0;
  int lone = 0;
  if (is_there(fields->id)) keep_hash = hash32_of_id(fields->id);
  else {
    Bytes connection = answer & DOWNSTREAM ? fields->peer : fields->local;
    lone = is_null(connection);
    if (!lone) keep_hash = hash32_of(connection);
  }
  if (shared_count[failing] > 0 && is_shared(failing, keep_hash)) lone = 1;
  if (lone) {
    keep_hash = stirred32(stream_hash, (u32)(int64_t)time);
    keep_hash = stirred32(keep_hash, fields->duration < 0 ? 0 : duration);
    keep_hash = mixed32(stirred32(keep_hash, fields->sent < 0 ? 0 : (u32)fields->sent));
  }
  u32 cell = (u32)answer >> CELL_SHIFT;
  if (stays(&samples[failing], cell, keep_hash)) keep_line(fields, keys[spelling->key].name, cell, time, keep_hash, failing);
  return 1;
}
