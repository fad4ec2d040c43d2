/* The kinds of lines that were met, and how lines spell them. */

/* The kinds of lines that were met. */
typedef struct {
  Digest digest;
  int32_t answer;
  u32 count;
  double first;
  double last;
  /* What the host calls it. */
  u32 name;
} Key;
_Static_assert(sizeof(Key) == 40, "scanner.ts reads it");

static u32 name_of_key;
/* How the host calls the kind that it is just shown. */
EXPORT(name_key) void name_key(u32 name) { name_of_key = name; }

static Key *keys;
static u32 keys_count;
/* One past a key's number; 0 is free. */
static u32 key_slots[2 * MOST_KEYS];
/* Whether there are keys for all lines that differ from theirs by what clients chose alone, and are of no other key. */
static u32 some_for_all;

/* Where a key stands, or would. */
static u32 *key_slot(Digest digest) {
  u32 slot = slot_of(digest, 2 * MOST_KEYS - 1);
  while (key_slots[slot] && keys[key_slots[slot] - 1].digest != digest) slot = (slot + 1) & (2 * MOST_KEYS - 1);
  return &key_slots[slot];
}

static void clear_counts(Key *key) {
  key->count = 0;
  key->first = __builtin_inf();
  key->last = -__builtin_inf();
}

/* The ways in which lines spelled their kind and upstream host, each with what is counted of it. */
typedef struct {
  Digest digest;
  u32 key;
  /* One past the host's number; 0 for none. */
  u32 host;
  u32 count;
  double first;
  double last;
} Spelling;

static Spelling *spellings;
static u32 spellings_count;
static u32 *spelling_slots;
static u32 spelling_mask;

static void clear_spellings(u32 slots) {
  spelling_mask = slots - 1;
  spelling_slots = (u32 *)room(slots * 4);
  spellings = (Spelling *)room(slots / 2 * sizeof(Spelling));
  __builtin_memset(spelling_slots, 0, slots * 4);
}

static void place_spelling(u32 number) {
  u32 slot = slot_of(spellings[number].digest, spelling_mask);
  while (spelling_slots[slot]) slot = (slot + 1) & spelling_mask;
  spelling_slots[slot] = number + 1;
}

static void widen_spellings(void) {
  Spelling *old = spellings;
  clear_spellings((spelling_mask + 1) * 2);
  __builtin_memcpy(spellings, old, spellings_count * sizeof(Spelling));
  for (u32 i = 0; i < spellings_count; i++) place_spelling(i);
}

static inline Spelling *spelling_of(Digest digest) {
  u32 slot = slot_of(digest, spelling_mask);
  for (u32 held = spelling_slots[slot]; held; held = spelling_slots[slot]) {
    Spelling *here = &spellings[held - 1];
    if (here->digest == digest) return here;
    slot = (slot + 1) & spelling_mask;
  }
  return 0;
}
