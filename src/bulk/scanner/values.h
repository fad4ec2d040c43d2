/* What takes many values: texts by number, and how often each cell had each. */

typedef struct {
  u32 at;
  u32 length;
  /* As the host's dictionaries have it. */
  u32 hash;
} Text;
_Static_assert(sizeof(Text) == 12, "scanner.ts reads it");

/* One past a text's number; 0 for a free slot. */
typedef struct {
  Digest digest;
  u32 held;
} Slot;

typedef struct {
  u32 count;
  u32 mask;
  Slot *slots;
  Text *texts;
} Texts;

static Texts values[KINDS];
static u8 *arena;
static u32 arena_used;
static u32 arena_size;

static u32 put_text(const u8 *at, u32 length) {
  if (arena_used + length + 32 > arena_size) {
    u32 size = arena_size * 2 > arena_used + length + 32 ? arena_size * 2 : arena_used + length + (1u << 20);
    u8 *wider = (u8 *)room(size);
    __builtin_memcpy(wider, arena, arena_used);
    arena = wider;
    arena_size = size;
  }
  u32 from = arena_used;
  __builtin_memcpy(arena + from, at, length);
  arena_used += length;
  return from;
}

static void clear_texts(Texts *texts, u32 slots) {
  texts->count = 0;
  texts->mask = slots - 1;
  texts->slots = (Slot *)room(slots * sizeof(Slot));
  texts->texts = (Text *)room(slots / 4 * 3 * sizeof(Text));
  __builtin_memset(texts->slots, 0, slots * sizeof(Slot));
}

static inline u32 slot_of(Digest digest, u32 mask) { return (u32)(digest >> 32) & mask; }

static void widen_texts(Texts *texts) {
  Texts old = *texts;
  clear_texts(texts, (old.mask + 1) * 2);
  texts->count = old.count;
  __builtin_memcpy(texts->texts, old.texts, old.count * sizeof(Text));
  for (u32 i = 0; i <= old.mask; i++) {
    if (!old.slots[i].held) continue;
    u32 slot = slot_of(old.slots[i].digest, texts->mask);
    while (texts->slots[slot].held) slot = (slot + 1) & texts->mask;
    texts->slots[slot] = old.slots[i];
  }
}

static __attribute__((noinline)) u32 new_text(Texts *texts, u32 slot, Bytes bytes, Digest digest) {
  u32 id = texts->count++;
  texts->texts[id].length = bytes.length;
  texts->texts[id].at = put_text(bytes.at, bytes.length);
  texts->texts[id].hash = hash32_of(bytes);
  texts->slots[slot].digest = digest;
  texts->slots[slot].held = id + 1;
  if (texts->count == (texts->mask + 1) / 4 * 3) widen_texts(texts);
  return id;
}

/* Where a text is, or would be. */
static inline u32 slot_in(const Texts *texts, Digest digest) {
  u32 slot = slot_of(digest, texts->mask);
  while (texts->slots[slot].held && texts->slots[slot].digest != digest) slot = (slot + 1) & texts->mask;
  return slot;
}

static inline u32 id_of_digest(Texts *texts, Bytes bytes, Digest digest) {
  u32 slot = slot_in(texts, digest), held = texts->slots[slot].held;
  return held ? held - 1 : new_text(texts, slot, bytes, digest);
}

static inline u32 id_of(Texts *texts, Bytes bytes) { return id_of_digest(texts, bytes, digest_of(bytes.at, bytes.length)); }

/*
 * How often a cell had each value, in pages, one for every 64 values of which the cell had one: values are numbered as they
 * come, so that those of a cell lie close together, and a count is found without a search. A page has a byte for each, since
 * many are met seldom and all are to lie in a cache; what goes beyond a byte is carried to pages of 16 wider counts.
 */
#define PAGE_BYTES 64
#define PAGE 64
#define CARRIES 16
#define SLAB 1024

typedef struct {
  /* 0: the cell has no page there. */
  void **pages;
  u32 size;
} Directory;

/* By cell and kind. */
typedef struct {
  Directory *of;
  u32 size;
  /* One past the last that has pages. */
  u32 used;
} Directories;

static Directories counts, carries;
static u32 pages_used;
static u8 *free_page;
static u32 free_pages;

static void clear_directories(Directories *directories, u32 size) {
  directories->size = size;
  directories->used = 0;
  directories->of = (Directory *)room(size * sizeof(Directory));
  __builtin_memset(directories->of, 0, size * sizeof(Directory));
}

static void widen_directories(Directories *directories, u32 wanted) {
  Directories old = *directories;
  clear_directories(directories, old.size * 2 > wanted ? old.size * 2 : wanted + 1);
  directories->used = old.used;
  __builtin_memcpy(directories->of, old.of, old.size * sizeof(Directory));
}

static void *new_page(Directories *directories, u32 cell_and_kind, u32 number) {
  if (cell_and_kind >= directories->size) widen_directories(directories, cell_and_kind);
  if (cell_and_kind >= directories->used) directories->used = cell_and_kind + 1;
  Directory *directory = &directories->of[cell_and_kind];
  if (number >= directory->size) {
    u32 size = directory->size * 2 > number + 4 ? directory->size * 2 : number + 4;
    void **wider = (void **)room(size * sizeof(void *));
    __builtin_memset(wider, 0, size * sizeof(void *));
    __builtin_memcpy(wider, directory->pages, directory->size * sizeof(void *));
    directory->pages = wider;
    directory->size = size;
  }
  if (!free_pages) {
    free_page = (u8 *)room(SLAB * PAGE_BYTES);
    free_pages = SLAB;
  }
  u8 *page = free_page;
  free_page += PAGE_BYTES;
  free_pages--;
  pages_used++;
  __builtin_memset(page, 0, PAGE_BYTES);
  return directory->pages[number] = page;
}

static inline void *page_of(const Directories *directories, u32 cell_and_kind, u32 number) {
  if (cell_and_kind >= directories->size || number >= directories->of[cell_and_kind].size) return 0;
  return directories->of[cell_and_kind].pages[number];
}

static __attribute__((noinline)) void carry(u32 cell_and_kind, u32 value, u32 times) {
  u32 *page = (u32 *)page_of(&carries, cell_and_kind, value / CARRIES);
  if (!page) page = (u32 *)new_page(&carries, cell_and_kind, value / CARRIES);
  page[value % CARRIES] += times;
}

static inline void count_value(u32 cell_and_kind, u32 value, u32 times) {
  u8 *page = (u8 *)page_of(&counts, cell_and_kind, value / PAGE);
  if (!page) page = (u8 *)new_page(&counts, cell_and_kind, value / PAGE);
  u32 sum = page[value % PAGE] + times;
  page[value % PAGE] = (u8)sum;
  if (sum > 255) carry(cell_and_kind, value, sum & ~255u);
}

/*
 * Peers are many, and where they are counted lies in no cache. Looked up a batch at once, the processor waits for many
 * places at the same time.
 */
#define BATCH 64
typedef struct {
  Bytes host;
  Digest digest;
  u32 cell_and_kind;
  u32 value;
} Peer;
static Peer peers[BATCH];
static u32 peers_waiting;

static void count_peers(void) {
  for (u32 i = 0; i < peers_waiting; i++) peers[i].value = id_of_digest(&values[PEER], peers[i].host, peers[i].digest);
  for (u32 i = 0; i < peers_waiting; i++) count_value(peers[i].cell_and_kind, peers[i].value, 1);
  peers_waiting = 0;
}

static inline void count_peer(u32 cell_and_kind, Bytes host) {
  Peer *peer = &peers[peers_waiting++];
  peer->host = host;
  peer->digest = digest_of(host.at, host.length);
  peer->cell_and_kind = cell_and_kind;
  if (peers_waiting == BATCH) count_peers();
}
