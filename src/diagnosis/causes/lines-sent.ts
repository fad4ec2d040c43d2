import type { Row } from '../../aggregate/row.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy, LinesInTime, weigh } from '../stats.js';

/* What was sent to a host or a service: that what misses a route is held against. */

/** A segment that is an id of few characters, `5jl2p6`: with a digit within, which in words and versions stands at the end. */
const SHORT_ID = /^(?=.*\d[a-z])(?!v\d+[a-z]+\d*$)[a-z\d]{5,}$/i;
const ID = '{id}';

/** Paths without ids of few characters. Some of those are letters alone: they stand where others were seen. */
class PathShapes {
  /** What stands before such an id, and how long it is. */
  readonly #places = new Set<string>();
  readonly #known = new Map<string, string>();

  constructor(rows: readonly Row[]) {
    for (const path of distinct(rows, (row) => row.pathTemplate)) {
      this.#shaped(path, (segment, place) => {
        if (!SHORT_ID.test(segment)) return false;
        this.#places.add(place);
        return true;
      });
    }
  }

  of({ pathTemplate: path }: Row): string {
    if (path === null) return '-';
    let known = this.#known.get(path);
    if (known === undefined) {
      known = this.#shaped(path, (_, place) => this.#places.has(place));
      this.#known.set(path, known);
    }
    return known;
  }

  #shaped(path: string, isId: (segment: string, place: string) => boolean): string {
    let before = '';
    for (const segment of path.split('/')) {
      before += `/${isId(segment, `${before}/${segment.length}`) ? ID : segment}`;
    }
    return before.slice(1);
  }
}

/** What of a request decides its route, coarse enough to be counted. */
export const pathShapes = perScene((scene: Scene) => {
  const paths = new PathShapes(scene.rowsOf((kind) => kind.http && kind.direction !== 'inbound'));
  return { path: (row: Row) => paths.of(row), whole: (row: Row) => `${row.method ?? '-'} ${paths.of(row)}` };
});

/** Lines by the authority, and by the place, that they were sent to. */
const linesSent = perScene((scene: Scene) => {
  const sent = scene.rowsOf((kind) => kind.direction !== 'inbound');
  return {
    byAuthority: groupBy(sent, (row) => row.authority),
    byPlace: new Map(
      [...groupBy(sent, (row) => scene.placeOf(row))].map(([place, rows]) => [
        place,
        new LinesSent(rows, pathShapes(scene).whole),
      ]),
    ),
  };
});

/** Those that found a route: who sent some, and all by proxy and shape. */
interface Routed {
  readonly proxies: ReadonlySet<string>;
  readonly byShape: ReadonlyMap<string, readonly Row[]>;
}

/** Lines sent to one place, by their time: thousands of hosts may lead there, each with a few misses. */
class LinesSent {
  #inTime: LinesInTime | undefined;
  #routed: Routed | undefined;
  #outbound: ReadonlyMap<string, number> | undefined;

  constructor(
    readonly rows: readonly Row[],
    readonly shape: (row: Row) => string,
  ) {}

  get inTime(): LinesInTime {
    return (this.#inTime ??= new LinesInTime(this.rows));
  }

  #found(): Routed {
    if (this.#routed) return this.#routed;
    const routed = this.rows.filter(isRouted);
    return (this.#routed = {
      proxies: new Set(routed.map((row) => row.proxy)),
      byShape: groupBy(routed, (row) => `${row.proxy}\n${this.shape(row)}`),
    });
  }

  /** Whether requests of a proxy found a route. */
  isRouted(proxy: string): boolean {
    return this.#found().proxies.has(proxy);
  }

  /** Requests of a proxy and a shape that found one. */
  routed(proxy: string, of: string): readonly Row[] {
    return this.#found().byShape.get(`${proxy}\n${of}`) ?? [];
  }

  /** How many of other proxies were routed. */
  routedElsewhere(proxies: ReadonlySet<string>): number {
    this.#outbound ??= new Map(
      [...groupBy(this.rows, (row) => (row.direction === 'outbound' && row.cluster ? row.proxy : null))].map(
        ([proxy, rows]) => [proxy, weigh(rows)],
      ),
    );
    return [...this.#outbound].reduce((sum, [proxy, some]) => sum + (proxies.has(proxy) ? 0 : some), 0);
  }
}

/** What was sent to an authority or a place. */
interface Sent {
  /** To the authority, elsewhere. */
  readonly named: readonly Row[];
  readonly there: LinesSent;
}

export function sentTo(scene: Scene, authority: string, place: string): Sent {
  const { byAuthority, byPlace } = linesSent(scene);
  const named = byAuthority.get(authority) ?? [];
  return {
    named: named.filter((row) => scene.placeOf(row) !== place),
    there: byPlace.get(place) ?? new LinesSent([], pathShapes(scene).whole),
  };
}

/** Those of them that began from `first` to `last`, ms since the Unix epoch. */
export const sentBetween = ({ named, there }: Sent, first: number, last: number): readonly Row[] => [
  ...named.filter((row) => row.start >= first && row.start <= last),
  ...there.inTime.between(first, last),
];

export const isRequest = (row: Row): boolean => row.http && !row.tunnel;
export const isRouted = (row: Row): boolean => isRequest(row) && row.cluster !== null;
