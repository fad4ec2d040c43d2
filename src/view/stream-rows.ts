import type { LiveStream } from './live.js';
import type { Stream } from './snapshot.js';
import type { State } from './state.js';

/** A log that was read, is followed, or both. */
export interface StreamRow {
  readonly name: string;
  readonly read: Stream | null;
  readonly live: LiveStream | null;
}

const RANK: Readonly<Record<LiveStream['state'], number>> = {
  lost: 0,
  opening: 1,
  history: 2,
  following: 3,
  ended: 4,
};

/** Every log once: those that need a look first, else as they were given. */
export function streamRows({ snapshot, source }: State): readonly StreamRow[] {
  const read = snapshot?.streams ?? [];
  const live = source.live?.phase === 'streaming' ? source.live.streams : [];
  const counted = new Map(read.map((stream) => [stream.name, stream]));
  const followed = new Set(live.map(({ pod }) => pod));
  return [
    ...live
      .toSorted((a, b) => RANK[a.state] - RANK[b.state])
      .map((stream) => ({ name: stream.pod, read: counted.get(stream.pod) ?? null, live: stream })),
    ...read
      .filter(({ name }) => !followed.has(name))
      .map((stream) => ({ name: stream.name, read: stream, live: null })),
  ];
}
